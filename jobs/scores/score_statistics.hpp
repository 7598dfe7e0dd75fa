#pragma once

#include <span>
#include <vector>

namespace meshfold::jobs {

/// Mean of those that are not NaN; NaN if all are.
double mean_of_defined(std::span<const double> values);

// Statistics of pairs of equally long, non-empty series, in fp64. NaN where undefined.

/// Ranks from 1; equal values share the mean of their ranks (scipy.stats.rankdata).
std::vector<double> mean_ranks(std::span<const double> values);

/// Pearson's correlation; undefined if either series is constant.
double pearson(std::span<const double> a, std::span<const double> b);

/// Spearman's: Pearson's of the mean ranks.
double spearman(std::span<const double> a, std::span<const double> b);

/// Area under the ROC curve: the chance that a positive sample scores above a negative one, ties counting half.
/// Undefined without samples of both kinds.
double area_under_roc(std::span<const double> scores, const std::vector<bool>& is_positive);

/// Cohen's kappa with quadratic weights of two integer gradings: sklearn's cohen_kappa_score with labels = every
/// integer from the lowest to the highest grade. Undefined if all grades are equal.
double quadratic_weighted_kappa(std::span<const double> a, std::span<const double> b);

}  // namespace meshfold::jobs
