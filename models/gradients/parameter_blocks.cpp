#include "models/gradients/parameter_blocks.hpp"

#include <ATen/Functions.h>

#include <algorithm>
#include <array>
#include <functional>
#include <numeric>

#include "models/context/back_end.hpp"

namespace meshfold::models {
namespace {

constexpr std::int64_t kMaxBlocks = 64;

std::int64_t divided_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

std::int64_t num_blocks(const std::vector<std::int64_t>& global_shape) {
  if (global_shape.size() < 2 || global_shape[0] == 0) return 1;
  return divided_up(global_shape[0], divided_up(global_shape[0], kMaxBlocks));
}

constexpr std::int64_t kLanes = 16;
using LaneSums = std::array<double, kLanes>;

void add_squares(const float* values, std::int64_t count, LaneSums& sums) {
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane) {
      const double value = values[i + lane];
      sums[lane] += value * value;
    }
  }
  for (; i < count; ++i) sums[i % kLanes] += static_cast<double>(values[i]) * values[i];
}

/// Sixteen running sums, so that the order of the additions is fixed and the compiler may keep them in vector
/// registers. What is known to be zero is not read: it would add nothing to any of them.
double sum_of_squares(const FlatGradient& gradient, const ParameterBlock& block) {
  constexpr std::int64_t kStrip = WrittenBlocks::kBlock;
  static_assert(kStrip % kLanes == 0);
  const auto* values = gradient.values.const_data_ptr<float>();
  const auto strip_end = [&](std::int64_t begin) { return std::min(begin + kStrip, block.end); };
  LaneSums sums{};
  for (std::int64_t begin = block.begin; begin < block.end;) {
    std::int64_t end = begin;
    while (end < block.end && !gradient.is_known_zero(end, strip_end(end))) end = strip_end(end);
    add_squares(values + begin, end - begin, sums);
    begin = end < block.end ? strip_end(end) : end;
  }
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

/// On the gradient's device; only the sums come to the host.
std::vector<double> square_sums_in_libtorch(std::span<const ParameterBlock> blocks, const at::Tensor& gradient) {
  if (blocks.empty()) return {};
  std::vector<at::Tensor> sums;
  const auto size = [&](std::size_t i) { return blocks[i].end - blocks[i].begin; };
  for (std::size_t first = 0, end = 0; first < blocks.size(); first = end) {
    // Blocks of one size that lie together are the rows of a matrix.
    for (end = first + 1; end < blocks.size() && size(end) == size(first) && blocks[end].begin == blocks[end - 1].end;)
      ++end;
    const auto rows = static_cast<std::int64_t>(end - first);
    const at::Tensor values = gradient.narrow(0, blocks[first].begin, rows * size(first)).view({rows, size(first)});
    sums.push_back(values.to(at::kDouble).square().sum(1));
  }
  const at::Tensor all = at::cat(sums).cpu();
  const auto* values = all.const_data_ptr<double>();
  return {values, values + all.numel()};
}

}  // namespace

std::vector<ParameterBlock> parameter_blocks(const ParameterStore& store) {
  std::vector<ParameterBlock> blocks;
  for (std::size_t p = 0; p < store.size(); ++p) {
    const ParameterSpec& spec = store[p].spec;
    const std::int64_t count = num_blocks(spec.global_shape);
    const std::int64_t rows = count > 1 ? spec.box.extent[0] : 1;
    const std::int64_t row_elements = rows == 0 ? 0 : store[p].num_elements / rows;
    const std::int64_t block_rows = divided_up(rows, count);
    const std::int64_t whole =
        std::accumulate(spec.global_shape.begin(), spec.global_shape.end(), std::int64_t{1}, std::multiplies<>());
    const auto place = [&](std::int64_t b) {
      return store[p].view.offset + std::min(b * block_rows, rows) * row_elements;
    };
    for (std::int64_t b = 0; b < count; ++b) blocks.push_back({p, place(b), place(b + 1), divided_up(whole, count)});
  }
  return blocks;
}

std::vector<std::size_t> share_blocks(std::span<const ParameterBlock> blocks, int parts) {
  std::int64_t total = 0;
  for (const ParameterBlock& block : blocks) total += block.cost;
  std::vector<std::size_t> first = {0};
  std::int64_t before = 0;
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    // The block's middle decides whose it is; in integers, so that every rank decides alike.
    while (static_cast<int>(first.size()) < parts &&
           (2 * before + blocks[b].cost) * parts >= 2 * total * static_cast<std::int64_t>(first.size())) {
      first.push_back(b);
    }
    before += blocks[b].cost;
  }
  first.resize(static_cast<std::size_t>(parts) + 1, blocks.size());
  return first;
}

std::vector<double> block_square_sums(std::span<const ParameterBlock> blocks, const FlatGradient& gradient) {
  if (ops::back_end_of(gradient.values) == ops::BackEnd::kAten) return square_sums_in_libtorch(blocks, gradient.values);
  std::vector<double> sums(blocks.size());
#pragma omp parallel for schedule(dynamic, 8)
  for (std::size_t i = 0; i < blocks.size(); ++i) sums[i] = sum_of_squares(gradient, blocks[i]);
  return sums;
}

}  // namespace meshfold::models
