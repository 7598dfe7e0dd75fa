#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace meshfold::data {

/// fold[i] in [0, num_folds) for sample i.
using FoldAssignment = std::vector<std::int16_t>;

/// Seeded k-fold: samples sorted by a Philox draw (purpose kFoldAssignment, counter (sample,0,0,0)), dealt to folds
/// round robin. Sizes differ by at most one. Throws std::invalid_argument for num_folds < 2 or > samples.
FoldAssignment make_k_fold(std::size_t num_samples, int num_folds, std::uint32_t seed);

/// Group k-fold: all samples of a group share a fold; groups sorted by size (largest first, ties by a Philox draw with
/// counter (group, 0, 0, 0)), each given to the smallest fold so far (ties: lowest fold). Throws std::invalid_argument
/// ("more folds (5) than groups (3)...").
FoldAssignment make_group_k_fold(std::span<const std::int32_t> groups, int num_folds, std::uint32_t seed);

/// What is wrong or right with a split.
struct FoldReport {
  std::vector<std::size_t> sizes;       ///< samples per fold
  std::vector<std::size_t> num_groups;  ///< groups per fold; empty without groups
  std::size_t groups_in_several_folds = 0;
};

/// Checks that every fold is in [0, num_folds) and none is empty (throws std::invalid_argument); counts groups that
/// straddle folds.
FoldReport inspect_folds(const FoldAssignment& folds, int num_folds, std::span<const std::int32_t> groups);

/// folds.csv: header "id,fold", one row a sample in input order. Written to a temporary name and renamed.
void write_folds_csv(const std::filesystem::path& file, std::span<const std::string> ids, const FoldAssignment& folds);
/// Reads it back and checks ids and order; InputError otherwise.
FoldAssignment read_folds_csv(const std::filesystem::path& file, std::span<const std::string> ids);

}  // namespace meshfold::data
