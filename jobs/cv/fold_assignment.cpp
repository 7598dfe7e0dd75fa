#include "jobs/cv/fold_assignment.hpp"

#include <algorithm>
#include <stdexcept>

#include "base/checksum.hpp"
#include "base/text.hpp"
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

bool is_multilabel(FoldStrategy strategy) {
  return strategy == FoldStrategy::kMultilabelStratified || strategy == FoldStrategy::kMultilabelStratifiedGroup;
}

/// Each target's bin is a label; their names say so.
data::SampleLabels labels_of_values(const RunConfig& config, const data::Dataset& dataset) {
  data::SampleLabels labels;
  labels.of_sample.resize(dataset.num_samples());
  for (std::uint32_t target = 0; target < dataset.num_targets(); ++target) {
    std::vector<float> values;
    for (std::uint32_t row = 0; row < dataset.num_samples(); ++row) values.push_back(dataset.targets(row)[target]);
    const auto bins = data::cut_into_bins(values, config.cv.bins);
    const auto first = static_cast<std::int32_t>(labels.num_labels());
    const int num_bins = bins.empty() ? 0 : 1 + *std::ranges::max_element(bins);
    for (int bin = 1; bin <= num_bins; ++bin) {
      labels.names.push_back(config.data.targets[target] + " in bin " + std::to_string(bin) + " of " +
                             std::to_string(num_bins));
    }
    for (std::size_t row = 0; row < bins.size(); ++row) labels.of_sample[row].push_back(first + bins[row]);
  }
  return labels;
}

/// One class a sample: the class column, or the largest of several shares. With several columns and a multilabel
/// strategy: every column that is at least a half.
data::SampleLabels labels_of_classes(const RunConfig& config, const data::Dataset& dataset,
                                     const std::vector<std::string>& class_names) {
  data::SampleLabels labels;
  labels.names = class_names;
  labels.of_sample.resize(dataset.num_samples());
  const bool every_set_one = dataset.num_targets() > 1 &&
                             (config.model.task == models::Task::kMultiLabel || is_multilabel(config.cv.strategy));
  for (std::uint32_t row = 0; row < dataset.num_samples(); ++row) {
    const auto targets = dataset.targets(row);
    auto& sample = labels.of_sample[row];
    if (dataset.num_targets() == 1 && config.model.task == models::Task::kClassification) {
      sample = {static_cast<std::int32_t>(targets[0])};
    } else if (!every_set_one) {
      sample = {static_cast<std::int32_t>(std::ranges::max_element(targets) - targets.begin())};
    } else {
      for (std::size_t label = 0; label < targets.size(); ++label) {
        if (targets[label] >= 0.5F) sample.push_back(static_cast<std::int32_t>(label));
      }
    }
  }
  return labels;
}

data::SampleLabels labels_of(const RunConfig& config, const data::Dataset& dataset,
                             const std::vector<std::string>& class_names) {
  return config.model.task == models::Task::kRegression ? labels_of_values(config, dataset)
                                                        : labels_of_classes(config, dataset, class_names);
}

std::vector<std::string> labels_of_fewer_samples(const data::SampleLabels& labels, int num_folds) {
  std::vector<int> counts(labels.num_labels());
  for (const auto& sample : labels.of_sample) {
    for (const auto label : sample) ++counts[static_cast<std::size_t>(label)];
  }
  std::vector<std::string> scarce;
  for (std::size_t label = 0; label < counts.size(); ++label) {
    if (counts[label] < num_folds) scarce.push_back(labels.names[label]);
  }
  return scarce;
}

data::FoldAssignment assign(const RunConfig& config, const data::Dataset& dataset,
                            const std::vector<std::int32_t>& groups, const data::SampleLabels& labels) {
  switch (config.cv.strategy) {
    case FoldStrategy::kStratified:
    case FoldStrategy::kMultilabelStratified:
      return data::make_stratified_folds(labels, {}, config.cv.folds, config.run.seed);
    case FoldStrategy::kStratifiedGroup:
    case FoldStrategy::kMultilabelStratifiedGroup:
      if (!dataset.has_groups()) throw ConfigError("cv.strategy by groups needs a group column; set data.group");
      return data::make_stratified_folds(labels, groups, config.cv.folds, config.run.seed);
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

std::string name_of(const RunConfig& config) {
  switch (config.cv.strategy) {
    case FoldStrategy::kKFold:
      return "k-fold";
    case FoldStrategy::kGroup:
      return "group k-fold by " + config.data.group;
    case FoldStrategy::kColumn:
      return "column " + config.data.fold;
    case FoldStrategy::kStratified:
      return "stratified k-fold";
    case FoldStrategy::kMultilabelStratified:
      return "multilabel-stratified k-fold";
    case FoldStrategy::kStratifiedGroup:
      return "stratified group k-fold by " + config.data.group;
    case FoldStrategy::kMultilabelStratifiedGroup:
      return "multilabel-stratified group k-fold by " + config.data.group;
  }
  throw std::logic_error("unknown fold strategy");
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
  return base::xxh3_128_hex(
      {reinterpret_cast<const char*>(assignment.data()), assignment.size() * sizeof(assignment[0])});
}

Folds make_folds(const RunConfig& config, const data::Dataset& dataset, const std::vector<std::string>& class_names) {
  if (config.cv.folds < 2)
    throw ConfigError("cv.folds = " + std::to_string(config.cv.folds) + ": at least 2 are needed");
  const auto groups = groups_of(dataset);
  try {
    Folds folds;
    folds.num_folds = config.cv.folds;
    folds.labels = labels_of(config, dataset, class_names);
    folds.assignment = assign(config, dataset, groups, folds.labels);
    folds.report = data::inspect_folds(folds.assignment, folds.num_folds, groups);
    folds.deviation = data::deviation_of(folds.labels, folds.assignment, folds.num_folds);
    folds.scarce = labels_of_fewer_samples(folds.labels, folds.num_folds);
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

std::vector<JobPlan> plan_folds(const Folds& folds) {
  std::vector<JobPlan> plans;
  for (int fold = 0; fold < folds.num_folds; ++fold) {
    plans.push_back({JobId::of_fold(fold), folds.num_folds, folds.training_rows(fold), folds.held_out_rows(fold)});
  }
  return plans;
}

std::string describe(const Folds& folds, const RunConfig& config) {
  std::string text = name_of(config) + ": " + base::joined(folds.report.sizes) + " samples";
  if (folds.labels.num_labels() > 0) {
    text += base::format("; largest deviation of a label's share %.4f", folds.deviation.largest);
    if (folds.deviation.largest > 0) {
      text += " (" + folds.labels.names[folds.deviation.label] + ", fold " + std::to_string(folds.deviation.fold) + ")";
    }
  }
  if (folds.report.num_groups.empty()) return text;
  text += "; " + base::joined(folds.report.num_groups) + " groups; ";
  return text + (folds.report.groups_in_several_folds == 0
                     ? "no group in two folds"
                     : std::to_string(folds.report.groups_in_several_folds) + " groups in several folds");
}

}  // namespace meshfold::jobs
