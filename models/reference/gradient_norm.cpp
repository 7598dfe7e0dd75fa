#include "models/reference/gradient_norm.hpp"

#include <cmath>
#include <numeric>
#include <stdexcept>

#include "models/gradients/parameter_blocks.hpp"

namespace meshfold::models {

double gradient_norm(const ParameterStore& store, const FlatGradient& gradient) {
  if (gradient.values.numel() != store.num_elements() || gradient.values.scalar_type() != at::kFloat) {
    throw std::invalid_argument("gradient_norm takes the flat fp32 gradient of the whole store");
  }
  const std::vector<double> sums = block_square_sums(parameter_blocks(store), gradient);
  return std::sqrt(std::accumulate(sums.begin(), sums.end(), 0.0));
}

}  // namespace meshfold::models
