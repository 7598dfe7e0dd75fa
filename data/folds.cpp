#include "data/folds.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>

#include "base/philox.hpp"

namespace meshfold::data {
namespace {

std::uint64_t draw_for(std::uint32_t item, std::uint32_t seed) {
  const base::PhiloxKey key = base::make_philox_key(seed, base::DrawPurpose::kFoldAssignment, 0, 0);
  const base::PhiloxDraws draws = base::philox4x32_10({item, 0, 0, 0}, key);
  return std::uint64_t{draws[0]} << 32 | draws[1];
}

void check_num_folds(int num_folds) {
  if (num_folds < 2)
    throw std::invalid_argument("cross-validation needs at least 2 folds, not " + std::to_string(num_folds));
  if (num_folds > std::numeric_limits<std::int16_t>::max()) {
    throw std::invalid_argument(std::to_string(num_folds) + " folds; at most 32,767 can be numbered");
  }
}

}  // namespace

FoldAssignment make_k_fold(std::size_t num_samples, int num_folds, std::uint32_t seed) {
  check_num_folds(num_folds);
  if (static_cast<std::size_t>(num_folds) > num_samples) {
    throw std::invalid_argument("more folds (" + std::to_string(num_folds) + ") than samples (" +
                                std::to_string(num_samples) + "); lower cv.folds");
  }
  std::vector<std::pair<std::uint64_t, std::uint32_t>> keyed(num_samples);  // (draw, sample)
  for (std::uint32_t sample = 0; sample < num_samples; ++sample) keyed[sample] = {draw_for(sample, seed), sample};
  std::sort(keyed.begin(), keyed.end());

  FoldAssignment folds(num_samples);
  for (std::size_t place = 0; place < num_samples; ++place) {
    folds[keyed[place].second] = static_cast<std::int16_t>(place % static_cast<std::size_t>(num_folds));
  }
  return folds;
}

FoldAssignment make_group_k_fold(std::span<const std::int32_t> groups, int num_folds, std::uint32_t seed) {
  check_num_folds(num_folds);
  std::map<std::int32_t, std::size_t> group_sizes;
  for (const std::int32_t group : groups) ++group_sizes[group];
  if (static_cast<std::size_t>(num_folds) > group_sizes.size()) {
    throw std::invalid_argument("more folds (" + std::to_string(num_folds) + ") than groups (" +
                                std::to_string(group_sizes.size()) + "); lower cv.folds or choose another data.group");
  }

  struct Group {
    std::size_t size;
    std::uint64_t draw;
    std::int32_t code;
  };
  std::vector<Group> ordered;
  for (const auto& [code, size] : group_sizes) {
    ordered.push_back({size, draw_for(static_cast<std::uint32_t>(code), seed), code});
  }
  std::sort(ordered.begin(), ordered.end(), [](const Group& a, const Group& b) {
    return std::tie(b.size, a.draw, a.code) < std::tie(a.size, b.draw, b.code);
  });

  std::vector<std::size_t> fold_sizes(static_cast<std::size_t>(num_folds));
  std::map<std::int32_t, std::int16_t> fold_of_group;
  for (const Group& group : ordered) {
    const auto smallest = std::min_element(fold_sizes.begin(), fold_sizes.end());
    *smallest += group.size;
    fold_of_group[group.code] = static_cast<std::int16_t>(smallest - fold_sizes.begin());
  }

  FoldAssignment folds(groups.size());
  std::transform(groups.begin(), groups.end(), folds.begin(),
                 [&](std::int32_t group) { return fold_of_group.at(group); });
  return folds;
}

FoldReport inspect_folds(const FoldAssignment& folds, int num_folds, std::span<const std::int32_t> groups) {
  check_num_folds(num_folds);
  if (!groups.empty() && groups.size() != folds.size()) {
    throw std::invalid_argument(std::to_string(groups.size()) + " group codes for " + std::to_string(folds.size()) +
                                " samples");
  }
  FoldReport report;
  report.sizes.resize(static_cast<std::size_t>(num_folds));
  for (std::size_t sample = 0; sample < folds.size(); ++sample) {
    if (folds[sample] < 0 || folds[sample] >= num_folds) {
      throw std::invalid_argument("sample " + std::to_string(sample + 1) + " is in fold " +
                                  std::to_string(folds[sample]) + "; folds are numbered 0 to " +
                                  std::to_string(num_folds - 1) + " (cv.folds = " + std::to_string(num_folds) + ")");
    }
    ++report.sizes[static_cast<std::size_t>(folds[sample])];
  }
  for (std::size_t fold = 0; fold < report.sizes.size(); ++fold) {
    if (report.sizes[fold] == 0) {
      throw std::invalid_argument("fold " + std::to_string(fold) + " of " + std::to_string(num_folds) +
                                  " has no samples; lower cv.folds or check the fold column");
    }
  }
  if (groups.empty()) return report;

  std::set<std::pair<std::int32_t, std::int16_t>> group_in_fold;
  for (std::size_t sample = 0; sample < folds.size(); ++sample) group_in_fold.emplace(groups[sample], folds[sample]);
  report.num_groups.resize(static_cast<std::size_t>(num_folds));
  std::map<std::int32_t, int> folds_of_group;
  for (const auto& [group, fold] : group_in_fold) {
    ++report.num_groups[static_cast<std::size_t>(fold)];
    if (++folds_of_group[group] == 2) ++report.groups_in_several_folds;
  }
  return report;
}

}  // namespace meshfold::data
