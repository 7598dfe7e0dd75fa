#include "jobs/scores/metric_kinds.hpp"

#include <algorithm>
#include <charconv>
#include <stdexcept>
#include <system_error>

#include "base/text.hpp"
#include "data/nearest_name.hpp"

namespace meshfold::jobs {
namespace {

std::string base_of(const std::string& score) { return score.substr(0, score.find('/')); }

bool fits(const MetricKind& kind, models::Task task) { return std::ranges::find(kind.tasks, task) != kind.tasks.end(); }

std::vector<std::string> names_for(models::Task task) {
  std::vector<std::string> names;
  for (const MetricKind& kind : metric_kinds()) {
    if (fits(kind, task)) names.push_back(kind.name);
  }
  return names;
}

/// Whether compute_scores gives "<metric>/<label>"; with 0 labels they are not known yet.
bool has_label_scores(const MetricKind& kind, models::Task task, std::size_t num_labels) {
  if (!kind.has_labels || num_labels == 1) return false;
  if (task != models::Task::kClassification) return true;
  return kind.name == "f1" || (kind.name == "auc" && num_labels != 2);
}

}  // namespace

const std::vector<MetricKind>& metric_kinds() {
  using models::Task;
  static const std::vector<Task> values = {Task::kRegression}, classes = {Task::kClassification},
                                 labels = {Task::kClassification, Task::kMultiLabel};
  static const std::vector<MetricKind> kinds = {
      {"mcrmse", values, Better::kSmaller, false},
      {"rmse", values, Better::kSmaller, true},
      {"mae", values, Better::kSmaller, true},
      {"r2", values, Better::kLarger, true},
      {"pearson", values, Better::kLarger, true},
      {"spearman", values, Better::kLarger, true},
      {"log_loss", labels, Better::kSmaller, false},
      {"accuracy", labels, Better::kLarger, false},
      {"f1", labels, Better::kLarger, true},
      {"f1_macro", labels, Better::kLarger, false},
      {"f1_micro", labels, Better::kLarger, false},
      {"auc", labels, Better::kLarger, true},
      {"qwk", {Task::kRegression, Task::kClassification}, Better::kLarger, true},
  };
  return kinds;
}

std::string default_metric(models::Task task) { return names_for(task).front(); }

std::string MetricChoice::name_for(models::Task task) const { return name.empty() ? default_metric(task) : name; }

Better MetricChoice::better_for(models::Task task) const {
  if (mode != MetricMode::kAuto) return mode == MetricMode::kMin ? Better::kSmaller : Better::kLarger;
  const std::string base = base_of(name_for(task));
  const auto kind = std::ranges::find(metric_kinds(), base, &MetricKind::name);
  if (kind == metric_kinds().end()) throw std::invalid_argument("metric '" + base + "' is not known");
  return kind->better;
}

std::optional<std::vector<double>> grades_of(const std::vector<std::string>& classes) {
  std::vector<double> grades;
  for (const std::string& name : classes) {
    int grade = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), grade);
    if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
    grades.push_back(grade);
  }
  return grades;
}

std::string metric_fault(const std::string& name, models::Task task, const std::vector<std::string>& labels) {
  const std::string base = base_of(name);
  const auto kind = std::ranges::find(metric_kinds(), base, &MetricKind::name);
  if (kind == metric_kinds().end() || !fits(*kind, task)) {
    const auto nearest = data::nearest_name(base, names_for(task));
    return "is no metric of this model.task" + (nearest ? "; did you mean '" + *nearest + "'?" : std::string()) +
           " There are " + base::joined(names_for(task));
  }
  if (base == name) {
    const bool is_of_two_classes = base == "f1" && task == models::Task::kClassification;
    const bool is_of_labels_alone = base == "f1" && task == models::Task::kMultiLabel;
    if (is_of_labels_alone || (is_of_two_classes && !labels.empty() && labels.size() != 2)) {
      return "is of two classes; take f1_macro, f1_micro or f1/<label>";
    }
    if (base == "qwk" && task == models::Task::kClassification && !grades_of(labels)) {
      return "needs classes whose names are integers; there are " + base::joined(labels);
    }
    return {};
  }
  const std::string label = name.substr(base.size() + 1);
  if (!has_label_scores(*kind, task, labels.size())) return "has no score a label; take " + base;
  if (!labels.empty() && std::ranges::find(labels, label) == labels.end()) {
    const auto nearest = data::nearest_name(label, labels);
    return "names no label" +
           (nearest ? "; did you mean '" + base + "/" + *nearest + "'?" : "; there are " + base::joined(labels));
  }
  return {};
}

}  // namespace meshfold::jobs
