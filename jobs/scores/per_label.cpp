#include "jobs/scores/per_label.hpp"

#include <cstddef>

namespace meshfold::jobs {

std::vector<double> column_of(const at::Tensor& matrix, std::int64_t index) {
  const auto rows = matrix.accessor<double, 2>();
  std::vector<double> column(static_cast<std::size_t>(matrix.size(0)));
  for (std::int64_t row = 0; row < matrix.size(0); ++row) column[static_cast<std::size_t>(row)] = rows[row][index];
  return column;
}

void append_per_label(Scores& scores, const std::string& metric, const std::vector<std::string>& labels,
                      const std::vector<double>& values) {
  for (std::size_t i = 0; i < labels.size(); ++i) scores.emplace_back(metric + "/" + labels[i], values[i]);
}

}  // namespace meshfold::jobs
