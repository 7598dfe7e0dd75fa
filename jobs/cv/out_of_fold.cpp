#include "jobs/cv/out_of_fold.hpp"

#include <ATen/ATen.h>

#include <cmath>

#include "jobs/results/prediction_table.hpp"

namespace meshfold::jobs {
namespace {

/// Takes one fold's rows into `collected`, checking each against the assignment and against what is there already.
void take_fold(const JobResult& result, const data::FoldAssignment& folds, std::span<const std::string> ids,
               std::vector<bool>& is_predicted, at::Tensor& collected) {
  const auto& name = result.record.id.name;
  const auto predictions = result.validation_predictions.contiguous();
  if (predictions.dim() != 2 || predictions.size(0) != static_cast<std::int64_t>(result.rows.size()) ||
      predictions.size(1) != collected.size(1)) {
    throw OutOfFoldError(name + ": its predictions do not have one row of " + std::to_string(collected.size(1)) +
                         " outputs for each of its " + std::to_string(result.rows.size()) + " samples");
  }
  const auto source = predictions.accessor<float, 2>();
  auto destination = collected.accessor<float, 2>();
  for (std::size_t i = 0; i < result.rows.size(); ++i) {
    const auto row = result.rows[i];
    if (row >= ids.size()) {
      throw OutOfFoldError(name + " predicts row " + std::to_string(row) + ", but the table has " +
                           std::to_string(ids.size()) + " samples");
    }
    if (folds[row] != result.record.id.fold) {
      throw OutOfFoldError("sample '" + ids[row] + "' is held out by fold " + std::to_string(folds[row]) +
                           " but was predicted by " + name + ", which was trained on it");
    }
    if (is_predicted[row]) {
      throw OutOfFoldError("sample '" + ids[row] + "' was predicted twice by " + name);
    }
    is_predicted[row] = true;
    for (std::int64_t c = 0; c < collected.size(1); ++c) {
      const float value = source[static_cast<std::int64_t>(i)][c];
      if (!std::isfinite(value)) {
        throw OutOfFoldError("sample '" + ids[row] + "': the prediction of " + name + " is not a finite number");
      }
      destination[row][c] = value;
    }
  }
}

/// Sums and counts of the targets over the rows that a fold does not hold out, in fp64.
at::Tensor training_mean(const at::Tensor& targets, const at::Tensor& in_training) {
  return targets.to(at::kDouble).index({in_training}).mean(0);
}

/// A class or label that the other folds lack would cost an infinite log-loss; scikit-learn's floor is fp32's epsilon
/// too.
constexpr double kSmallestShare = 1.1920929e-07;

/// Logarithm of each class's share among the training rows. Targets are class numbers [N, 1] or probabilities [N, C].
at::Tensor training_log_shares(const at::Tensor& targets, const at::Tensor& in_training, std::int64_t num_classes) {
  if (targets.size(1) != 1) {
    const auto shares = training_mean(targets, in_training);
    return (shares / shares.sum()).clamp_min(kSmallestShare).log();
  }
  const auto classes = targets.reshape({-1}).to(at::kLong).index({in_training});
  const auto counts = at::bincount(classes, {}, num_classes).to(at::kDouble);
  return (counts / counts.sum()).clamp_min(kSmallestShare).log();
}

at::Tensor trivial_outputs(const models::HeadConfig& head, const at::Tensor& targets, const at::Tensor& in_training) {
  switch (head.task) {
    case models::Task::kRegression:
      return training_mean(targets, in_training);
    case models::Task::kClassification:
      return training_log_shares(targets, in_training, static_cast<std::int64_t>(head.labels.size()));
    case models::Task::kMultiLabel:
      return training_mean(targets, in_training).logit(kSmallestShare);  // clamped to within [floor, 1 - floor]
  }
  throw std::invalid_argument("a head has an unknown task");
}

}  // namespace

at::Tensor collect_out_of_fold(std::span<const JobResult> results, const data::FoldAssignment& folds,
                               std::span<const std::string> ids) {
  if (results.empty()) throw OutOfFoldError("no fold has finished");
  const auto width = static_cast<std::int64_t>(results.front().record.head.labels.size());
  auto collected = at::zeros({static_cast<std::int64_t>(ids.size()), width}, at::kFloat);
  std::vector<bool> is_predicted(ids.size(), false);
  for (const auto& result : results) take_fold(result, folds, ids, is_predicted, collected);
  for (std::size_t row = 0; row < ids.size(); ++row) {
    if (!is_predicted[row]) {
      throw OutOfFoldError("sample '" + ids[row] + "' of fold " + std::to_string(folds[row]) +
                           " has no out-of-fold prediction");
    }
  }
  return collected;
}

at::Tensor predict_trivially(const models::HeadConfig& head, const at::Tensor& targets,
                             const data::FoldAssignment& folds, int num_folds) {
  const auto num_outputs = static_cast<std::int64_t>(head.labels.size());
  const auto fold_of = at::tensor(std::vector<std::int64_t>(folds.begin(), folds.end()), at::kLong);
  auto predictions = at::zeros({targets.size(0), num_outputs}, at::kFloat);
  for (int fold = 0; fold < num_folds; ++fold) {
    const auto held_out = fold_of.eq(fold);
    predictions.index_put_({held_out}, trivial_outputs(head, targets, held_out.logical_not()).to(at::kFloat));
  }
  return predictions;
}

at::Tensor mean_test_predictions(const models::HeadConfig& head, std::span<const JobResult> results) {
  at::Tensor sum;
  for (const auto& result : results) {
    const auto values = to_values(head, result.test_predictions).to(at::kDouble);
    sum = sum.defined() ? sum + values : values;
  }
  return (sum / static_cast<double>(results.size())).to(at::kFloat);
}

}  // namespace meshfold::jobs
