#include "jobs/scores/score_statistics.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>

namespace meshfold::jobs {
namespace {

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();

double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// Asked of the values themselves: their differences from a rounded mean need not be 0.
bool is_constant(std::span<const double> values) {
  return std::ranges::all_of(values, [&](double value) { return value == values.front(); });
}

}  // namespace

double mean_of_defined(std::span<const double> values) {
  double sum = 0.0;
  int count = 0;
  for (const double value : values) {
    if (std::isnan(value)) continue;
    sum += value;
    ++count;
  }
  return count > 0 ? sum / count : kUndefined;
}

std::vector<double> mean_ranks(std::span<const double> values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return values[i]; });
  std::vector<double> ranks(values.size());
  for (std::size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    // The mean of begin + 1 .. end.
    for (std::size_t i = begin; i < end; ++i) ranks[order[i]] = static_cast<double>(begin + 1 + end) / 2.0;
  }
  return ranks;
}

double pearson(std::span<const double> a, std::span<const double> b) {
  if (is_constant(a) || is_constant(b)) return kUndefined;
  const double mean_a = mean(a), mean_b = mean(b);
  double together = 0.0, of_a = 0.0, of_b = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double from_a = a[i] - mean_a, from_b = b[i] - mean_b;
    together += from_a * from_b;
    of_a += from_a * from_a;
    of_b += from_b * from_b;
  }
  return std::clamp(together / (std::sqrt(of_a) * std::sqrt(of_b)), -1.0, 1.0);
}

double spearman(std::span<const double> a, std::span<const double> b) { return pearson(mean_ranks(a), mean_ranks(b)); }

double area_under_roc(std::span<const double> scores, const std::vector<bool>& is_positive) {
  const std::vector<double> ranks = mean_ranks(scores);
  double positives = 0.0, rank_sum = 0.0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (!is_positive[i]) continue;
    positives += 1.0;
    rank_sum += ranks[i];
  }
  const double negatives = static_cast<double>(scores.size()) - positives;
  if (positives == 0.0 || negatives == 0.0) return kUndefined;
  return (rank_sum - positives * (positives + 1.0) / 2.0) / (positives * negatives);
}

double quadratic_weighted_kappa(std::span<const double> a, std::span<const double> b) {
  // The expected disagreement is the mean of (a_i - b_j)^2 over all pairs, and needs no table of grades.
  double disagreement = 0.0, squares = 0.0;
  const double count = static_cast<double>(a.size());
  const double shift = a.front();  // keeps squares small and exact for grades far from 0
  double sum_a = 0.0, sum_b = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double x = a[i] - shift, y = b[i] - shift;
    disagreement += (x - y) * (x - y);
    squares += x * x + y * y;
    sum_a += x;
    sum_b += y;
  }
  const double expected = squares - 2.0 * sum_a * sum_b / count;
  return expected > 0.0 ? 1.0 - disagreement / expected : kUndefined;
}

}  // namespace meshfold::jobs
