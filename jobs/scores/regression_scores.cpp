#include "jobs/scores/regression_scores.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "jobs/scores/per_label.hpp"
#include "jobs/scores/score_statistics.hpp"

namespace meshfold::jobs {
namespace {

/// One value per target of each metric.
struct PerTarget {
  std::vector<double> squares, rmse, mae, r2, pearson, spearman, qwk;
};

/// Grades are scored as such when every target is one.
bool are_grades(const std::vector<double>& values) {
  return std::ranges::all_of(values, [](double value) { return value == std::nearbyint(value); });
}

std::vector<double> rounded(std::vector<double> values) {
  for (double& value : values) value = std::nearbyint(value);  // halves to even, as numpy.rint
  return values;
}

/// Undefined where the targets are constant; scikit-learn's force_finite would call it 0 or 1.
double coefficient_of_determination(double squares, const std::vector<double>& wanted) {
  double mean = 0.0, deviation = 0.0;
  for (const double value : wanted) mean += value;
  mean /= static_cast<double>(wanted.size());
  for (const double value : wanted) deviation += (value - mean) * (value - mean);
  const bool is_constant = std::ranges::all_of(wanted, [&](double value) { return value == wanted.front(); });
  return is_constant ? std::numeric_limits<double>::quiet_NaN() : 1.0 - squares / deviation;
}

void score_target(const std::vector<double>& predicted, const std::vector<double>& wanted, PerTarget& scores) {
  double squares = 0.0, absolute = 0.0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const double error = predicted[i] - wanted[i];
    squares += error * error;
    absolute += std::abs(error);
  }
  const auto count = static_cast<double>(wanted.size());
  scores.squares.push_back(squares / count);
  scores.rmse.push_back(std::sqrt(squares / count));
  scores.mae.push_back(absolute / count);
  scores.r2.push_back(coefficient_of_determination(squares, wanted));
  scores.pearson.push_back(pearson(predicted, wanted));
  scores.spearman.push_back(spearman(predicted, wanted));
  scores.qwk.push_back(are_grades(wanted) ? quadratic_weighted_kappa(rounded(predicted), wanted)
                                          : std::numeric_limits<double>::quiet_NaN());
}

}  // namespace

Scores regression_scores(const std::vector<std::string>& targets, const at::Tensor& predictions,
                         const at::Tensor& wanted) {
  PerTarget each;
  for (std::int64_t target = 0; target < predictions.size(1); ++target) {
    score_target(column_of(predictions, target), column_of(wanted, target), each);
  }
  std::vector<std::pair<std::string, const std::vector<double>*>> metrics = {{"rmse", &each.rmse},
                                                                             {"mae", &each.mae},
                                                                             {"r2", &each.r2},
                                                                             {"pearson", &each.pearson},
                                                                             {"spearman", &each.spearman}};
  if (!std::isnan(mean_of_defined(each.qwk))) metrics.emplace_back("qwk", &each.qwk);
  Scores scores = {{"mcrmse", mean_of_defined(each.rmse)}};
  for (const auto& [name, values] : metrics) {
    scores.emplace_back(name, name == "rmse" ? std::sqrt(mean_of_defined(each.squares)) : mean_of_defined(*values));
  }
  if (targets.size() > 1) {
    for (const auto& [name, values] : metrics) append_per_label(scores, name, targets, *values);
  }
  return scores;
}

}  // namespace meshfold::jobs
