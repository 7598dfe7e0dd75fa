#include "jobs/scores/task_scores.hpp"

#include <charconv>
#include <cmath>
#include <limits>

namespace meshfold::jobs {

double mean_of_defined(const std::vector<double>& values) {
  double sum = 0.0;
  int count = 0;
  for (const double value : values) {
    if (std::isnan(value)) continue;
    sum += value;
    ++count;
  }
  return count > 0 ? sum / count : std::numeric_limits<double>::quiet_NaN();
}

void append_per_label(Scores& scores, const std::string& metric, const std::vector<std::string>& labels,
                      const std::vector<double>& values) {
  for (std::size_t i = 0; i < labels.size(); ++i) scores.emplace_back(metric + "/" + labels[i], values[i]);
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

std::vector<double> column_of(const at::Tensor& matrix, std::int64_t index) {
  const auto rows = matrix.accessor<double, 2>();
  std::vector<double> column(static_cast<std::size_t>(matrix.size(0)));
  for (std::int64_t row = 0; row < matrix.size(0); ++row) column[static_cast<std::size_t>(row)] = rows[row][index];
  return column;
}

}  // namespace meshfold::jobs
