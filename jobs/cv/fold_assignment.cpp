#include "jobs/cv/fold_assignment.hpp"

#include <xxhash.h>

#include <algorithm>
#include <cstdio>
#include <stdexcept>

#include "jobs/error.hpp"

namespace meshfold::jobs {
namespace {

std::vector<std::int32_t> groups_of(const data::Dataset& dataset) {
  std::vector<std::int32_t> groups;
  if (!dataset.has_groups()) return groups;
  groups.reserve(dataset.num_samples());
  for (std::uint32_t row = 0; row < dataset.num_samples(); ++row) groups.push_back(dataset.group(row));
  return groups;
}

data::FoldAssignment folds_of_column(const RunConfig& config, const data::Dataset& dataset) {
  const std::string column = "column '" + config.data.fold + "' of " + config.data.train;
  data::FoldAssignment assignment(dataset.num_samples());
  std::vector<bool> present(static_cast<std::size_t>(config.cv.folds), false);
  int highest = -1;
  for (std::uint32_t row = 0; row < dataset.num_samples(); ++row) {
    const auto fold = dataset.fold(row);
    if (fold < 0) {
      throw ConfigError(column + ": fold " + std::to_string(fold) + " of sample '" + std::string(dataset.id(row)) +
                        "' is negative; number the folds from 0");
    }
    assignment[row] = fold;
    highest = std::max(highest, int{fold});
    if (fold < config.cv.folds) present[static_cast<std::size_t>(fold)] = true;
  }
  if (highest + 1 != config.cv.folds) {
    throw ConfigError(column + ": its highest fold is " + std::to_string(highest) + ", but cv.folds = " +
                      std::to_string(config.cv.folds) + "; set cv.folds = " + std::to_string(highest + 1));
  }
  const auto gap = std::find(present.begin(), present.end(), false);
  if (gap != present.end()) {
    throw ConfigError(column + ": no sample is in fold " + std::to_string(gap - present.begin()) +
                      "; number the folds 0 to " + std::to_string(config.cv.folds - 1) + " without gaps");
  }
  return assignment;
}

data::FoldAssignment assign(const RunConfig& config, const data::Dataset& dataset,
                            const std::vector<std::int32_t>& groups) {
  switch (config.cv.strategy) {
    case FoldStrategy::kKFold:
      return data::make_k_fold(dataset.num_samples(), config.cv.folds, config.run.seed);
    case FoldStrategy::kGroup:
      if (!dataset.has_groups()) throw ConfigError("cv.strategy = group needs a group column; set data.group");
      return data::make_group_k_fold(groups, config.cv.folds, config.run.seed);
    case FoldStrategy::kColumn:
      if (!dataset.has_folds()) throw ConfigError("cv.strategy = column needs a fold column; set data.fold");
      return folds_of_column(config, dataset);
  }
  throw std::logic_error("unknown fold strategy");
}

std::string list(const std::vector<std::size_t>& counts) {
  std::string text;
  for (const auto count : counts) text += (text.empty() ? "" : ", ") + std::to_string(count);
  return text;
}

}  // namespace

std::vector<std::uint32_t> Folds::held_out_rows(int fold) const {
  std::vector<std::uint32_t> rows;
  for (std::uint32_t row = 0; row < assignment.size(); ++row) {
    if (assignment[row] == fold) rows.push_back(row);
  }
  return rows;
}

std::vector<std::uint32_t> Folds::training_rows(int fold) const {
  std::vector<std::uint32_t> rows;
  for (std::uint32_t row = 0; row < assignment.size(); ++row) {
    if (assignment[row] != fold) rows.push_back(row);
  }
  return rows;
}

std::string Folds::hash() const {
  const auto hash = XXH3_128bits(assignment.data(), assignment.size() * sizeof(assignment[0]));
  char hex[33];
  std::snprintf(hex, sizeof hex, "%016llx%016llx", static_cast<unsigned long long>(hash.high64),
                static_cast<unsigned long long>(hash.low64));
  return hex;
}

Folds make_folds(const RunConfig& config, const data::Dataset& dataset) {
  if (config.cv.folds < 2)
    throw ConfigError("cv.folds = " + std::to_string(config.cv.folds) + ": at least 2 are needed");
  const auto groups = groups_of(dataset);
  try {
    Folds folds;
    folds.num_folds = config.cv.folds;
    folds.assignment = assign(config, dataset, groups);
    folds.report = data::inspect_folds(folds.assignment, folds.num_folds, groups);
    return folds;
  } catch (const std::invalid_argument& error) {
    throw ConfigError(std::string("cv.folds: ") + error.what());
  }
}

void keep_folds_csv(const std::filesystem::path& file, const data::Dataset& dataset, const Folds& folds) {
  const auto ids = ids_of(dataset);
  if (!std::filesystem::exists(file)) {
    data::write_folds_csv(file, ids, folds.assignment);
    return;
  }
  const auto kept = data::read_folds_csv(file, ids);
  const auto [ours, theirs] = std::ranges::mismatch(folds.assignment, kept);
  if (ours != folds.assignment.end()) {
    throw ConfigError(file.string() + ": sample '" + ids[static_cast<std::size_t>(ours - folds.assignment.begin())] +
                      "' is in fold " + std::to_string(*theirs) + " there but in fold " + std::to_string(*ours) +
                      " by the config; use a new run directory");
  }
}

std::string describe(const Folds& folds, const RunConfig& config) {
  std::string text = "k-fold";
  if (config.cv.strategy == FoldStrategy::kGroup) text = "group k-fold by " + config.data.group;
  if (config.cv.strategy == FoldStrategy::kColumn) text = "column " + config.data.fold;
  text += ": " + list(folds.report.sizes) + " samples";
  if (folds.report.num_groups.empty()) return text;
  text += "; " + list(folds.report.num_groups) + " groups; ";
  return text + (folds.report.groups_in_several_folds == 0
                     ? "no group in two folds"
                     : std::to_string(folds.report.groups_in_several_folds) + " groups in several folds");
}

std::vector<std::string> ids_of(const data::Dataset& dataset) {
  std::vector<std::string> ids;
  ids.reserve(dataset.num_samples());
  for (std::uint32_t row = 0; row < dataset.num_samples(); ++row) ids.emplace_back(dataset.id(row));
  return ids;
}

}  // namespace meshfold::jobs
