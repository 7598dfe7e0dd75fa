#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "jobs/report/held_out.hpp"

namespace meshfold::jobs {

// Where a model errs, computed from held-out predictions alone. fp64, in row order.

/// The standard deviation of each regression target, the unit of its errors; 1 for a target that never varies.
std::vector<double> target_units(const HeldOut& held_out);

/// How far off each row is, [N]. Regression: root of the mean over targets of the squared error in units of that
/// target's standard deviation. Classification: cross-entropy. Multi-label: mean binary cross-entropy over the labels.
/// Probabilities are floored at 1e-7, below which a 32-bit float near 1 cannot tell.
std::vector<double> row_errors(const HeldOut& held_out);

/// Rows of the `count` largest errors, worst first; of equals the earlier row first.
std::vector<std::size_t> worst_rows(std::span<const double> errors, std::size_t count);

/// Classification: [true class * classes + predicted class] -> rows.
std::vector<std::uint64_t> confusion_matrix(const HeldOut& held_out);

/// One bin of predictions: what was said on average and what was true.
struct CalibrationBin {
  double predicted = 0, truth = 0;  ///< means
  std::size_t count = 0;
};

/// Regression, one target: bins of equally many rows in the order of the predictions (scikit-learn's
/// calibration_curve with strategy = quantile, but for values).
std::vector<CalibrationBin> calibration_by_rank(const HeldOut& held_out, std::size_t target, std::size_t num_bins);

/// Classification: the probability of the predicted class against how often it was right; with two classes the
/// probability of the second against its share. Multi-label: every label's probability against its share. Bins of equal
/// width over [0, 1], the empty ones left out.
std::vector<CalibrationBin> reliability(const HeldOut& held_out, std::size_t num_bins);

/// Expected calibration error: the mean of |predicted - truth| over the bins, weighted by their rows.
double calibration_error(std::span<const CalibrationBin> bins);

}  // namespace meshfold::jobs
