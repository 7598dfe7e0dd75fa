#include "jobs/scores/classification_scores.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <stdexcept>

#include "jobs/scores/metric_kinds.hpp"
#include "jobs/scores/per_label.hpp"
#include "jobs/scores/score_statistics.hpp"

namespace meshfold::jobs {
namespace {

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();

/// How often a class or label was rightly said, wrongly said, and missed.
struct Counts {
  double right = 0, wrong = 0, missed = 0;

  void add(bool is_said, bool is_true) {
    right += is_said && is_true ? 1 : 0;
    wrong += is_said && !is_true ? 1 : 0;
    missed += !is_said && is_true ? 1 : 0;
  }
  /// Undefined where the class is neither said nor true, as with scikit-learn's zero_division = nan.
  double f1() const {
    const double denominator = 2 * right + wrong + missed;
    return denominator > 0 ? 2 * right / denominator : kUndefined;
  }
};

/// The three ways of summing up F1.
struct F1 {
  std::vector<double> per_label;
  double macro, micro;

  explicit F1(const std::vector<Counts>& counts) {
    Counts all;
    for (const Counts& one : counts) {
      per_label.push_back(one.f1());
      all.right += one.right;
      all.wrong += one.wrong;
      all.missed += one.missed;
    }
    macro = mean_of_defined(per_label);
    micro = all.f1();
  }
};

/// The class of each row: its number, or the largest of its shares (ties: the lowest class).
std::vector<std::size_t> classes_of(const at::Tensor& rows, std::int64_t num_classes) {
  const auto values = rows.accessor<double, 2>();
  std::vector<std::size_t> classes(static_cast<std::size_t>(rows.size(0)));
  for (std::int64_t row = 0; row < rows.size(0); ++row) {
    const auto first = values[row].data(), last = first + rows.size(1);
    const double number =
        rows.size(1) == num_classes ? static_cast<double>(std::max_element(first, last) - first) : *first;
    if (number < 0 || number >= static_cast<double>(num_classes) || number != std::floor(number)) {
      throw std::invalid_argument("a class number is outside of the head's classes");
    }
    classes[static_cast<std::size_t>(row)] = static_cast<std::size_t>(number);
  }
  return classes;
}

/// Logarithms of the softmax, [rows, classes]; not clipped.
at::Tensor log_probabilities(const at::Tensor& logits) {
  at::Tensor result = logits.clone();
  auto values = result.accessor<double, 2>();
  for (std::int64_t row = 0; row < result.size(0); ++row) {
    double* first = values[row].data();
    double* last = first + result.size(1);
    const double largest = *std::max_element(first, last);
    double sum = 0.0;
    for (const double* value = first; value != last; ++value) sum += std::exp(*value - largest);
    for (double* value = first; value != last; ++value) *value = (*value - largest) - std::log(sum);
  }
  return result;
}

double class_log_loss(const at::Tensor& log_shares, const at::Tensor& wanted, const std::vector<std::size_t>& truth) {
  const auto logs = log_shares.accessor<double, 2>();
  const auto shares = wanted.accessor<double, 2>();
  double loss = 0.0;
  for (std::int64_t row = 0; row < log_shares.size(0); ++row) {
    if (wanted.size(1) == 1) {
      loss -= logs[row][static_cast<std::int64_t>(truth[static_cast<std::size_t>(row)])];
      continue;
    }
    for (std::int64_t c = 0; c < log_shares.size(1); ++c) {
      if (shares[row][c] != 0) loss -= shares[row][c] * logs[row][c];
    }
  }
  return loss / static_cast<double>(log_shares.size(0));
}

double kappa_of_classes(const std::vector<double>& grades, const std::vector<std::size_t>& said,
                        const std::vector<std::size_t>& truth) {
  std::vector<double> a, b;
  for (std::size_t i = 0; i < said.size(); ++i) {
    a.push_back(grades[said[i]]);
    b.push_back(grades[truth[i]]);
  }
  return quadratic_weighted_kappa(a, b);
}

/// Each class against all others.
std::vector<double> class_aucs(const at::Tensor& log_shares, const std::vector<std::size_t>& truth) {
  std::vector<double> areas;
  for (std::size_t c = 0; c < static_cast<std::size_t>(log_shares.size(1)); ++c) {
    std::vector<bool> is_positive;
    for (const std::size_t label : truth) is_positive.push_back(label == c);
    areas.push_back(area_under_roc(column_of(log_shares, static_cast<std::int64_t>(c)), is_positive));
  }
  return areas;
}

}  // namespace

Scores classification_scores(const std::vector<std::string>& classes, const at::Tensor& logits,
                             const at::Tensor& wanted) {
  const auto num_classes = static_cast<std::int64_t>(classes.size());
  const std::vector<std::size_t> said = classes_of(logits, num_classes), truth = classes_of(wanted, num_classes);
  const at::Tensor log_shares = log_probabilities(logits);
  std::vector<Counts> counts(classes.size());
  for (std::size_t i = 0; i < said.size(); ++i) {
    for (std::size_t c = 0; c < classes.size(); ++c) counts[c].add(said[i] == c, truth[i] == c);
  }
  const F1 f1(counts);
  // Each sample is either right for one class or wrong for one and missed for another, so this is its share of hits.
  Scores scores = {{"log_loss", class_log_loss(log_shares, wanted, truth)}, {"accuracy", f1.micro}};
  const std::vector<double> areas = class_aucs(log_shares, truth);
  const bool is_binary = classes.size() == 2;
  if (is_binary) scores.emplace_back("f1", f1.per_label[1]);
  scores.emplace_back("f1_macro", f1.macro);
  scores.emplace_back("f1_micro", f1.micro);
  scores.emplace_back("auc", is_binary ? areas[1] : mean_of_defined(areas));
  if (const auto grades = grades_of(classes)) scores.emplace_back("qwk", kappa_of_classes(*grades, said, truth));
  append_per_label(scores, "f1", classes, f1.per_label);
  if (!is_binary) append_per_label(scores, "auc", classes, areas);
  return scores;
}

Scores multi_label_scores(const std::vector<std::string>& labels, const at::Tensor& logits, const at::Tensor& wanted) {
  std::vector<Counts> counts(labels.size());
  std::vector<double> areas;
  std::vector<bool> all_right(static_cast<std::size_t>(logits.size(0)), true);
  double loss = 0.0;
  for (std::size_t label = 0; label < labels.size(); ++label) {
    const auto column = static_cast<std::int64_t>(label);
    const std::vector<double> scores = column_of(logits, column), targets = column_of(wanted, column);
    std::vector<bool> is_positive;
    for (std::size_t i = 0; i < scores.size(); ++i) {
      is_positive.push_back(targets[i] > 0.5);
      counts[label].add(scores[i] > 0.0, is_positive.back());
      all_right[i] = all_right[i] && (scores[i] > 0.0) == is_positive.back();
      loss += std::max(scores[i], 0.0) - scores[i] * targets[i] + std::log1p(std::exp(-std::abs(scores[i])));
    }
    areas.push_back(area_under_roc(scores, is_positive));
  }
  const auto rows = static_cast<double>(logits.size(0));
  const F1 f1(counts);
  Scores scores = {{"log_loss", loss / (rows * static_cast<double>(labels.size()))},
                   {"accuracy", static_cast<double>(std::ranges::count(all_right, true)) / rows},
                   {"f1_macro", f1.macro},
                   {"f1_micro", f1.micro},
                   {"auc", mean_of_defined(areas)}};
  if (labels.size() > 1) {
    append_per_label(scores, "f1", labels, f1.per_label);
    append_per_label(scores, "auc", labels, areas);
  }
  return scores;
}

}  // namespace meshfold::jobs
