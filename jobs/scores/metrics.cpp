#include "jobs/scores/metrics.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "jobs/scores/classification_scores.hpp"
#include "jobs/scores/metric_kinds.hpp"
#include "jobs/scores/regression_scores.hpp"

namespace meshfold::jobs {
namespace {

Scores scores_of_task(const models::HeadConfig& head, const at::Tensor& predictions, const at::Tensor& targets) {
  switch (head.task) {
    case models::Task::kRegression:
      return regression_scores(head.labels, predictions, targets);
    case models::Task::kClassification:
      return classification_scores(head.labels, predictions, targets);
    case models::Task::kMultiLabel:
      return multi_label_scores(head.labels, predictions, targets);
  }
  throw std::invalid_argument("a head has an unknown task");
}

}  // namespace

Scores compute_scores(const models::HeadConfig& head, const at::Tensor& predictions, const at::Tensor& targets,
                      const std::string& first) {
  const bool has_class_numbers =
      head.task == models::Task::kClassification && targets.dim() == 2 && targets.size(1) == 1;
  if (predictions.dim() != 2 || targets.dim() != 2 || predictions.size(0) == 0 ||
      predictions.size(0) != targets.size(0) || predictions.size(1) != static_cast<std::int64_t>(head.labels.size()) ||
      (targets.size(1) != predictions.size(1) && !has_class_numbers)) {
    throw std::invalid_argument("scores want predictions [rows, labels] and as many targets, at least one row");
  }
  Scores scores = scores_of_task(head, predictions.to(at::kDouble).contiguous(), targets.to(at::kDouble).contiguous());
  const auto selecting = std::ranges::find(scores, first, &Scores::value_type::first);
  if (selecting != scores.end()) {
    std::rotate(scores.begin(), selecting, selecting + 1);
  } else {
    const std::string fault = metric_fault(first, head.task, head.labels);
    if (!fault.empty()) throw std::invalid_argument("score '" + first + "' " + fault);
    scores.insert(scores.begin(), {first, std::numeric_limits<double>::quiet_NaN()});
  }
  return scores;
}

Scores headline(const Scores& scores) {
  Scores shown;
  for (std::size_t i = 0; i < scores.size() && shown.size() < 3; ++i) {
    if (i == 0 || scores[i].first.find('/') == std::string::npos) shown.push_back(scores[i]);
  }
  return shown;
}

}  // namespace meshfold::jobs
