#include <array>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "models/gradient_accumulator.hpp"

namespace meshfold::models {
namespace {

constexpr std::int64_t kMaxBlocks = 64;

struct Block {
  std::int64_t begin, end;
};

/// Every parameter cut along dim 0 into at most 64 blocks of whole rows; a 1-d parameter is one block.
std::vector<Block> parameter_blocks(const ParameterStore& store) {
  std::vector<Block> blocks;
  for (const Parameter& parameter : store) {
    const std::vector<std::int64_t>& extent = parameter.spec.box.extent;
    const std::int64_t begin = parameter.view.offset, end = begin + parameter.num_elements;
    if (parameter.num_elements == 0) continue;
    std::int64_t block_elements = parameter.num_elements;
    if (extent.size() > 1) {
      block_elements = (extent[0] + kMaxBlocks - 1) / kMaxBlocks * (parameter.num_elements / extent[0]);
    }
    for (std::int64_t at = begin; at < end; at += block_elements)
      blocks.push_back({at, std::min(at + block_elements, end)});
  }
  return blocks;
}

/// Sixteen running sums, so that the order of the additions is fixed and the compiler may keep them in vector
/// registers.
double sum_of_squares(const float* values, std::int64_t count) {
  constexpr std::int64_t kLanes = 16;
  std::array<double, kLanes> sums{};
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane) {
      const double value = values[i + lane];
      sums[lane] += value * value;
    }
  }
  for (; i < count; ++i) sums[i % kLanes] += static_cast<double>(values[i]) * values[i];
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

}  // namespace

double gradient_norm(const ParameterStore& store, const at::Tensor& flat_gradient) {
  if (flat_gradient.numel() != store.num_elements() || flat_gradient.scalar_type() != at::kFloat) {
    throw std::invalid_argument("gradient_norm takes the flat fp32 gradient of the whole store");
  }
  const at::Tensor gradient = flat_gradient.cpu();
  const float* values = gradient.const_data_ptr<float>();
  const std::vector<Block> blocks = parameter_blocks(store);
  std::vector<double> sums(blocks.size());
#pragma omp parallel for schedule(dynamic, 8)
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    sums[i] = sum_of_squares(values + blocks[i].begin, blocks[i].end - blocks[i].begin);
  }
  return std::sqrt(std::accumulate(sums.begin(), sums.end(), 0.0));
}

}  // namespace meshfold::models
