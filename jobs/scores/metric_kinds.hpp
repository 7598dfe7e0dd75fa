#pragma once

#include <optional>
#include <string>
#include <vector>

#include "models/networks/model.hpp"

namespace meshfold::jobs {

enum class Better { kSmaller, kLarger };
enum class MetricMode {
  kAuto,  ///< as the metric is known
  kMin,
  kMax,
};

/// One metric that scores are made of: a score's name is the metric's, or "<metric>/<label>" for one target, class or
/// label.
struct MetricKind {
  std::string name;
  std::vector<models::Task> tasks;
  Better better;
  bool has_labels;  ///< "<metric>/<label>" exists too, where there are several labels
};

/// All metrics, each task's default first among those it has.
const std::vector<MetricKind>& metric_kinds();

/// The score that selects checkpoints, stops early, lowers the learning rate and picks the best fold.
struct MetricChoice {
  std::string name;  ///< empty: the task's default
  MetricMode mode = MetricMode::kAuto;

  std::string name_for(models::Task task) const;
  /// Throws invalid_argument for a metric that is not known.
  Better better_for(models::Task task) const;
};

/// "mcrmse" (regression) or "log_loss".
std::string default_metric(models::Task task);

/// The grades that class names say, or nothing if one is no integer: sorted as text, "10" comes before "2".
std::optional<std::vector<double>> grades_of(const std::vector<std::string>& classes);

/// What is wrong with `name` for a head with these labels, or nothing; with the nearest name that is right. `labels`
/// may be empty where they are not known yet.
std::string metric_fault(const std::string& name, models::Task task, const std::vector<std::string>& labels);

}  // namespace meshfold::jobs
