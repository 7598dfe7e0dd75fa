#include "jobs/train/feature_scales.hpp"

#include <cmath>
#include <stdexcept>

namespace meshfold::jobs {

models::HeadConfig with_feature_scales(models::HeadConfig head, const data::Dataset& dataset,
                                       std::span<const std::uint32_t> rows) {
  if (dataset.num_features() != head.features.size()) {
    throw std::invalid_argument("the head reads other features than the dataset has");
  }
  if (rows.empty()) return head;
  for (std::size_t f = 0; f < head.features.size(); ++f) {
    const double first = dataset.features(rows[0])[f];
    bool is_constant = true;
    double sum = 0.0, squares = 0.0;
    for (const std::uint32_t row : rows) {
      const double value = dataset.features(row)[f];
      is_constant = is_constant && value == first;
      sum += value;
    }
    const auto count = static_cast<double>(rows.size());
    const double mean = sum / count;
    for (const std::uint32_t row : rows) squares += std::pow(dataset.features(row)[f] - mean, 2);
    head.features[f].mean = is_constant ? first : mean;
    head.features[f].scale = is_constant ? 1.0 : std::sqrt(squares / count);
  }
  return head;
}

}  // namespace meshfold::jobs
