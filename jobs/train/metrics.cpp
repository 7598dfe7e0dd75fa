#include "jobs/train/metrics.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <stdexcept>

namespace meshfold::jobs {
namespace {

Scores regression_scores(const models::HeadConfig& head, const at::Tensor& predictions, const at::Tensor& targets) {
  const auto predicted = predictions.accessor<double, 2>();
  const auto wanted = targets.accessor<double, 2>();
  Scores scores = {{"mcrmse", 0.0}};
  for (std::int64_t target = 0; target < predictions.size(1); ++target) {
    double sum = 0.0;
    for (std::int64_t row = 0; row < predictions.size(0); ++row) {
      const double error = predicted[row][target] - wanted[row][target];
      sum += error * error;
    }
    const double rmse = std::sqrt(sum / static_cast<double>(predictions.size(0)));
    scores.emplace_back("rmse/" + head.labels.at(static_cast<std::size_t>(target)), rmse);
    scores.front().second += rmse;
  }
  scores.front().second /= static_cast<double>(predictions.size(1));
  return scores;
}

/// Mean over rows and labels of the binary log-loss, and the share of rows with every label right.
Scores multi_label_scores(const at::Tensor& logits_tensor, const at::Tensor& targets) {
  const auto logits = logits_tensor.accessor<double, 2>();
  const auto wanted = targets.accessor<double, 2>();
  double loss = 0.0;
  std::int64_t hits = 0;
  for (std::int64_t row = 0; row < logits_tensor.size(0); ++row) {
    bool all_right = true;
    for (std::int64_t label = 0; label < logits_tensor.size(1); ++label) {
      const double logit = logits[row][label], target = wanted[row][label];
      loss += std::max(logit, 0.0) - logit * target + std::log1p(std::exp(-std::abs(logit)));
      all_right = all_right && (logit > 0.0) == (target > 0.5);
    }
    hits += all_right ? 1 : 0;
  }
  const auto rows = static_cast<double>(logits_tensor.size(0));
  return {{"log_loss", loss / (rows * static_cast<double>(logits_tensor.size(1)))},
          {"accuracy", static_cast<double>(hits) / rows}};
}

Scores classification_scores(const at::Tensor& logits_tensor, const at::Tensor& targets) {
  const auto logits = logits_tensor.accessor<double, 2>();
  const auto wanted = targets.accessor<double, 2>();
  const std::int64_t num_classes = logits_tensor.size(1);
  double loss = 0.0;
  std::int64_t hits = 0;
  for (std::int64_t row = 0; row < logits_tensor.size(0); ++row) {
    std::int64_t label = 0;
    if (targets.size(1) == 1) {
      label = static_cast<std::int64_t>(wanted[row][0]);
      if (label < 0 || label >= num_classes)
        throw std::invalid_argument("a class number is outside of the head's classes");
    } else {
      for (std::int64_t c = 1; c < num_classes; ++c) label = wanted[row][c] > wanted[row][label] ? c : label;
    }
    std::int64_t best = 0;
    for (std::int64_t c = 1; c < num_classes; ++c) best = logits[row][c] > logits[row][best] ? c : best;
    double sum = 0.0;
    for (std::int64_t c = 0; c < num_classes; ++c) sum += std::exp(logits[row][c] - logits[row][best]);
    const double log_sum = std::log(sum) + logits[row][best];
    if (targets.size(1) == 1) {
      loss += log_sum - logits[row][label];
    } else {
      for (std::int64_t c = 0; c < num_classes; ++c) loss += wanted[row][c] * (log_sum - logits[row][c]);
    }
    hits += best == label ? 1 : 0;
  }
  const auto rows = static_cast<double>(logits_tensor.size(0));
  return {{"log_loss", loss / rows}, {"accuracy", static_cast<double>(hits) / rows}};
}

}  // namespace

Scores compute_scores(const models::HeadConfig& head, const at::Tensor& predictions, const at::Tensor& targets) {
  const bool has_class_numbers =
      head.task == models::Task::kClassification && targets.dim() == 2 && targets.size(1) == 1;
  if (predictions.dim() != 2 || targets.dim() != 2 || predictions.size(0) == 0 ||
      predictions.size(0) != targets.size(0) || predictions.size(1) != static_cast<std::int64_t>(head.labels.size()) ||
      (targets.size(1) != predictions.size(1) && !has_class_numbers)) {
    throw std::invalid_argument("scores want predictions [rows, labels] and as many targets, at least one row");
  }
  const at::Tensor outputs = predictions.to(at::kDouble), wanted = targets.to(at::kDouble);
  switch (head.task) {
    case models::Task::kRegression:
      return regression_scores(head, outputs, wanted);
    case models::Task::kClassification:
      return classification_scores(outputs, wanted);
    case models::Task::kMultiLabel:
      return multi_label_scores(outputs, wanted);
  }
  throw std::invalid_argument("a head has an unknown task");
}

bool larger_is_better(const models::HeadConfig& head) {
  switch (head.task) {
    case models::Task::kRegression:
      return false;  // mcrmse
    case models::Task::kClassification:
    case models::Task::kMultiLabel:
      return false;  // log_loss
  }
  return false;
}

}  // namespace meshfold::jobs
