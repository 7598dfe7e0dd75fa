// Shapes: M rows of the left operand, N columns of the right one, P pairs along the summed dim.
#include "models/ops/kernels/bf16_products.hpp"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <utility>

#include "base/instruction_set.hpp"
#include "models/context/operand_types.hpp"
#include "models/ops/kernels/aligned_buffer.hpp"
#include "models/ops/kernels/bf16_panels.hpp"

#if defined(__x86_64__)
#include "models/ops/kernels/amx_operations.hpp"
#include "models/ops/kernels/bf16_tile.hpp"
#include "models/ops/kernels/product_epilogues.hpp"
#endif

namespace meshfold::models::ops::kernels {
#if defined(__x86_64__)
namespace {

using Tile = float[kTileRows * kPanelColumns];

/// tile [kRows, kPanelColumns] = left x panel, kRows x 3 accumulators in registers. `left`: the first row's first pair;
/// with kRows order the next row is `row_bytes` further.
template <LeftOrder kOrder, int kRows>
MESHFOLD_TARGET_AVX512_BF16 void multiply_tile(const char* left, std::int64_t row_bytes, const std::uint32_t* panel,
                                               std::int64_t num_pairs, float* tile) {
  __m512 sums[kRows][kVectors];
  multiply_in_registers<kOrder, kRows>(left, row_bytes, panel, num_pairs, sums);
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 3
    for (int v = 0; v < kVectors; ++v) _mm512_store_ps(tile + r * kPanelColumns + 16 * v, sums[r][v]);
  }
}

template <LeftOrder kOrder>
void multiply_rows(int rows, const char* left, std::int64_t row_bytes, const std::uint32_t* panel,
                   std::int64_t num_pairs, float* tile) {
  switch (rows) {
    case 1:
      return multiply_tile<kOrder, 1>(left, row_bytes, panel, num_pairs, tile);
    case 2:
      return multiply_tile<kOrder, 2>(left, row_bytes, panel, num_pairs, tile);
    case 3:
      return multiply_tile<kOrder, 3>(left, row_bytes, panel, num_pairs, tile);
    case 4:
      return multiply_tile<kOrder, 4>(left, row_bytes, panel, num_pairs, tile);
    case 5:
      return multiply_tile<kOrder, 5>(left, row_bytes, panel, num_pairs, tile);
    case 6:
      return multiply_tile<kOrder, 6>(left, row_bytes, panel, num_pairs, tile);
    case 7:
      return multiply_tile<kOrder, 7>(left, row_bytes, panel, num_pairs, tile);
    default:
      return multiply_tile<kOrder, 8>(left, row_bytes, panel, num_pairs, tile);
  }
}

/// The part of a left operand that one task multiplies.
struct LeftRows {
  const char* data;        ///< of row 0
  std::int64_t row_bytes;  ///< from row to row; with kBlocks the same in the mean: 4 x pairs
  std::int64_t begin, end;
};

/// store(row of sums, row, column, count) for all rows of left x panel, in tiles whose rows differ by at most one.
template <LeftOrder kOrder, typename Store>
void multiply_panel(const LeftRows& left, const std::uint32_t* panel, std::int64_t num_pairs, std::int64_t column,
                    std::int64_t count, const Store& store) {
  alignas(64) Tile tile;
  const std::int64_t rows = left.end - left.begin, num_tiles = (rows + kTileRows - 1) / kTileRows;
  for (std::int64_t t = 0; t < num_tiles; ++t) {
    // Blocks are whole tiles; only rows in memory may be cut anywhere.
    const bool blocks = kOrder == LeftOrder::kBlocks;
    const std::int64_t first = left.begin + (blocks ? t * kTileRows : rows * t / num_tiles);
    const std::int64_t last = blocks ? std::min(left.end, first + kTileRows) : left.begin + rows * (t + 1) / num_tiles;
    const char* data = left.data + first * left.row_bytes;
    for (std::int64_t r = first; r < last; ++r) store.prefetch(r, column);
    multiply_rows<kOrder>(static_cast<int>(last - first), data, left.row_bytes, panel, num_pairs, tile);
    for (std::int64_t r = first; r < last; ++r) store(tile + (r - first) * kPanelColumns, r, column, count);
  }
}

/// Enough tasks for many threads, each long enough to pay for packing its panel.
constexpr std::int64_t kRowsPerTask = 512;

/// store() for left x right, where pack(column, panel) packs the panel that begins at `column`.
template <typename Pack, typename Store>
void multiply(const Bf16Matrix& left, std::int64_t columns, const Pack& pack, const Store& store) {
  const std::int64_t num_pairs = left.columns / 2, num_parts = (left.rows + kRowsPerTask - 1) / kRowsPerTask;
  at::parallel_for(0, num_panels(columns) * num_parts, 1, [&](std::int64_t begin, std::int64_t end) {
    const AlignedBuffer<std::uint32_t> panel(num_pairs * kPanelColumns);
    std::int64_t packed = -1;
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t column = task / num_parts * kPanelColumns, part = task % num_parts;
      if (std::exchange(packed, column) != column) pack(column, panel.data());
      const LeftRows rows{reinterpret_cast<const char*>(left.data), left.stride * 2, left.rows * part / num_parts,
                          left.rows * (part + 1) / num_parts};
      multiply_panel<LeftOrder::kRows>(rows, panel.data(), num_pairs, column, std::min(kPanelColumns, columns - column),
                                       store);
    }
  });
}

Bf16Matrix matrix_of(const at::Tensor& tensor) {
  return {tensor.const_data_ptr<at::BFloat16>(), tensor.size(0), tensor.size(1), tensor.size(1)};
}

/// A longer right panel would leave the L2 cache.
constexpr std::int64_t kRowsPerSum = 4096;

/// sum = beta sum + dy^T x over at most kRowsPerSum rows.
void add_weight_gradient(const Bf16Matrix& dy, const Bf16Matrix& x, const AddToSum<>& store) {
  const std::int64_t num_pairs = (dy.rows + 1) / 2, num_groups = (dy.columns + kLeftColumns - 1) / kLeftColumns;
  const AlignedBuffer<std::uint32_t> left(num_groups * kLeftColumns * num_pairs);
  at::parallel_for(0, num_groups, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t group = begin; group < end; ++group) {
      pack_left_transposed(dy, group * kLeftColumns, left.data() + group * kLeftColumns * num_pairs);
    }
  });
  const std::int64_t num_parts = (dy.columns + kRowsPerTask - 1) / kRowsPerTask;
  at::parallel_for(0, num_panels(x.columns) * num_parts, 1, [&](std::int64_t begin, std::int64_t end) {
    const AlignedBuffer<std::uint32_t> panel(num_pairs * kPanelColumns);
    std::int64_t packed = -1;
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t column = task / num_parts * kPanelColumns, part = task % num_parts;
      if (std::exchange(packed, column) != column) pack_interleaved(x, column, panel.data());
      const LeftRows rows{reinterpret_cast<const char*>(left.data()), 4 * num_pairs, part * kRowsPerTask,
                          std::min(dy.columns, (part + 1) * kRowsPerTask)};
      multiply_panel<LeftOrder::kBlocks>(rows, panel.data(), num_pairs, column,
                                         std::min(kPanelColumns, x.columns - column), store);
    }
  });
}

void linear_forward(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, Activation activation,
                    at::Tensor z, at::Tensor y) {
  with_activation(activation, [&](auto kind) {
    const StoreActivated<decltype(kind)::value> store{bias.defined() ? bias.const_data_ptr<float>() : nullptr,
                                                      z.defined() ? z.mutable_data_ptr<at::BFloat16>() : nullptr,
                                                      y.mutable_data_ptr<at::BFloat16>(), y.size(1)};
    const auto pack = [w = matrix_of(weight)](std::int64_t column, std::uint32_t* panel) {
      pack_transposed(w, column, panel);
    };
    multiply(matrix_of(x), y.size(1), pack, store);
  });
}

void product_input_gradient(const at::Tensor& dy, const at::Tensor& weight, at::Tensor dx) {
  const auto pack = [w = matrix_of(weight)](std::int64_t column, std::uint32_t* panel) {
    pack_interleaved(w, column, panel);
  };
  const std::int64_t width = dx.size(1);
  dispatch_operands(dx.scalar_type(), "linear", [&]<typename T>() {
    multiply(matrix_of(dy), width, pack, StoreAs<T>{dx.mutable_data_ptr<T>(), width});
  });
}

void activated_input_gradient(const at::Tensor& dy, const at::Tensor& weight, const at::Tensor& z,
                              Activation activation, at::Tensor dz, at::Tensor y) {
  const auto pack = [w = matrix_of(weight)](std::int64_t column, std::uint32_t* panel) {
    pack_interleaved(w, column, panel);
  };
  with_activation(activation, [&](auto kind) {
    const StoreSloped<decltype(kind)::value> store{z.const_data_ptr<at::BFloat16>(),
                                                   dz.mutable_data_ptr<at::BFloat16>(),
                                                   y.mutable_data_ptr<at::BFloat16>(), z.size(1)};
    multiply(matrix_of(dy), z.size(1), pack, store);
  });
}

void weight_gradient(const at::Tensor& dy, const at::Tensor& x, Beta beta, at::Tensor sum) {
  const Bf16Matrix left = matrix_of(dy), right = matrix_of(x);
  AddToSum<> store{sum.mutable_data_ptr<float>(), sum.size(1), beta};
  for (std::int64_t first = 0; first < std::max<std::int64_t>(left.rows, 1); first += kRowsPerSum) {
    const std::int64_t rows = std::min(kRowsPerSum, left.rows - first);
    add_weight_gradient({left.data + first * left.stride, rows, left.columns, left.stride},
                        {right.data + first * right.stride, rows, right.columns, right.stride}, store);
    store.beta = Beta::kOne;
  }
}

}  // namespace

ProductKernels dot_products() {
  return {linear_forward, product_input_gradient, activated_input_gradient, weight_gradient};
}
ProductKernels tile_products() { return amx::products_over<amx::AmxTiles>(); }
#else
ProductKernels dot_products() { return {}; }
ProductKernels tile_products() { return {}; }
#endif

}  // namespace meshfold::models::ops::kernels
