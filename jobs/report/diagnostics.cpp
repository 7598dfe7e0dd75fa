#include "jobs/report/diagnostics.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace meshfold::jobs {
namespace {

using models::Task;

constexpr double kSmallestProbability = 1e-7;

double log_of(double probability) { return std::log(std::max(probability, kSmallestProbability)); }

double regression_error(const HeldOut& held_out, std::size_t row, std::span<const double> units) {
  double squares = 0;
  for (std::size_t target = 0; target < held_out.targets.size(); ++target) {
    const double error = held_out.predicted_at(row, target) - held_out.truth_at(row, target);
    squares += error * error / (units[target] * units[target]);
  }
  return std::sqrt(squares / static_cast<double>(held_out.targets.size()));
}

double classification_error(const HeldOut& held_out, std::size_t row) {
  if (held_out.has_class_numbers()) return -log_of(held_out.predicted_at(row, held_out.true_class(row)));
  double loss = 0;
  for (std::size_t label = 0; label < held_out.labels.size(); ++label) {
    loss -= held_out.truth_at(row, label) * log_of(held_out.predicted_at(row, label));
  }
  return loss;
}

double multi_label_error(const HeldOut& held_out, std::size_t row) {
  double loss = 0;
  for (std::size_t label = 0; label < held_out.labels.size(); ++label) {
    const double truth = held_out.truth_at(row, label), probability = held_out.predicted_at(row, label);
    loss -= truth * log_of(probability) + (1 - truth) * log_of(1 - probability);
  }
  return loss / static_cast<double>(held_out.labels.size());
}

/// Sums over the rows that fell into each bin, on their way to means.
class Bins {
 public:
  explicit Bins(std::size_t count) : bins_(count) {}
  void add(std::size_t bin, double predicted, double truth) {
    bins_[bin].predicted += predicted;
    bins_[bin].truth += truth;
    ++bins_[bin].count;
  }
  void add_probability(double probability, double truth) {
    const auto bin = static_cast<std::size_t>(probability * static_cast<double>(bins_.size()));
    add(std::min(bin, bins_.size() - 1), probability, truth);
  }
  std::vector<CalibrationBin> means() const {
    std::vector<CalibrationBin> filled;
    for (const auto& bin : bins_) {
      const auto rows = static_cast<double>(bin.count);
      if (bin.count > 0) filled.push_back({bin.predicted / rows, bin.truth / rows, bin.count});
    }
    return filled;
  }

 private:
  std::vector<CalibrationBin> bins_;
};

}  // namespace

std::vector<double> target_units(const HeldOut& held_out) {
  std::vector<double> result;
  const auto rows = static_cast<double>(held_out.size());
  for (std::size_t target = 0; target < held_out.targets.size(); ++target) {
    double mean = 0, squares = 0;
    for (std::size_t row = 0; row < held_out.size(); ++row) mean += held_out.truth_at(row, target) / rows;
    for (std::size_t row = 0; row < held_out.size(); ++row) {
      const double distance = held_out.truth_at(row, target) - mean;
      squares += distance * distance;
    }
    result.push_back(squares > 0 ? std::sqrt(squares / rows) : 1.0);
  }
  return result;
}

std::vector<double> row_errors(const HeldOut& held_out) {
  const auto units = held_out.task == Task::kRegression ? target_units(held_out) : std::vector<double>();
  std::vector<double> errors;
  for (std::size_t row = 0; row < held_out.size(); ++row) {
    errors.push_back(held_out.task == Task::kRegression       ? regression_error(held_out, row, units)
                     : held_out.task == Task::kClassification ? classification_error(held_out, row)
                                                              : multi_label_error(held_out, row));
  }
  return errors;
}

std::vector<std::size_t> worst_rows(std::span<const double> errors, std::size_t count) {
  std::vector<std::size_t> rows(errors.size());
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  const auto kept = static_cast<std::ptrdiff_t>(std::min(count, rows.size()));
  std::ranges::partial_sort(rows, rows.begin() + kept, [&](std::size_t a, std::size_t b) {
    return errors[a] != errors[b] ? errors[a] > errors[b] : a < b;
  });
  rows.resize(static_cast<std::size_t>(kept));
  return rows;
}

std::vector<std::uint64_t> confusion_matrix(const HeldOut& held_out) {
  const std::size_t classes = held_out.labels.size();
  std::vector<std::uint64_t> counts(classes * classes);
  for (std::size_t row = 0; row < held_out.size(); ++row) {
    ++counts[held_out.true_class(row) * classes + held_out.predicted_class(row)];
  }
  return counts;
}

std::vector<CalibrationBin> calibration_by_rank(const HeldOut& held_out, std::size_t target, std::size_t num_bins) {
  std::vector<std::size_t> order(held_out.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, [&](std::size_t row) { return held_out.predicted_at(row, target); });
  Bins bins(num_bins);
  for (std::size_t place = 0; place < order.size(); ++place) {
    bins.add(place * num_bins / order.size(), held_out.predicted_at(order[place], target),
             held_out.truth_at(order[place], target));
  }
  return bins.means();
}

std::vector<CalibrationBin> reliability(const HeldOut& held_out, std::size_t num_bins) {
  Bins bins(num_bins);
  const std::size_t labels = held_out.labels.size();
  for (std::size_t row = 0; row < held_out.size(); ++row) {
    if (held_out.task == Task::kMultiLabel) {
      for (std::size_t label = 0; label < labels; ++label) {
        bins.add_probability(held_out.predicted_at(row, label), held_out.truth_at(row, label));
      }
    } else if (labels == 2) {
      const double share = held_out.has_class_numbers() ? held_out.truth_at(row, 0) : held_out.truth_at(row, 1);
      bins.add_probability(held_out.predicted_at(row, 1), share);
    } else {
      const std::size_t label = held_out.predicted_class(row);
      bins.add_probability(held_out.predicted_at(row, label), held_out.true_class(row) == label ? 1.0 : 0.0);
    }
  }
  return bins.means();
}

double calibration_error(std::span<const CalibrationBin> bins) {
  double sum = 0, rows = 0;
  for (const auto& bin : bins) {
    sum += static_cast<double>(bin.count) * std::abs(bin.predicted - bin.truth);
    rows += static_cast<double>(bin.count);
  }
  return rows > 0 ? sum / rows : 0.0;
}

}  // namespace meshfold::jobs
