#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "models/context/operand_types.hpp"
#include "models/ops/kernels/aligned_buffer.hpp"
#include "models/ops/kernels/amx_packing.hpp"
#include "models/ops/kernels/amx_panel.hpp"
#include "models/ops/kernels/amx_tiles.hpp"
#include "models/ops/kernels/product_epilogues.hpp"

/// The four products of bf16_products.hpp over any file of tiles. Included where __x86_64__ is defined, in files
/// compiled with OpenMP; called only where the CPU has AVX512-BF16.
namespace meshfold::models::ops::kernels::amx {

#ifndef _OPENMP
#error "kernels must be compiled with OpenMP"
#endif

inline Bf16Matrix matrix_of(const at::Tensor& tensor) {
  return {tensor.const_data_ptr<at::BFloat16>(), tensor.size(0), tensor.size(1), tensor.size(1)};
}

/// How a product is divided among threads: panels of rows, each over parts of the groups.
struct Division {
  std::int64_t panel_rows, num_panels, num_parts;
};

/// Panels of equal height that fit the L2 cache, as many for each thread; few rows are divided by columns.
inline Division divide(std::int64_t rows, std::int64_t steps, std::int64_t groups, std::int64_t threads) {
  constexpr std::int64_t kPanelBytes = 900 * 1024, kHighest = 384, kLowest = 96;
  const std::int64_t fitting = kPanelBytes / (steps * kLineBytes);
  const std::int64_t highest = std::clamp(fitting / kTileLines * kTileLines, kLowest, kHighest);
  const std::int64_t blocks = (rows + kBlockRows - 1) / kBlockRows, fewest = (rows + highest - 1) / highest;
  const std::int64_t wanted = std::min(blocks, (fewest + threads - 1) / threads * threads);
  const std::int64_t panel_rows = ((rows + wanted - 1) / wanted + kTileLines - 1) / kTileLines * kTileLines;
  const std::int64_t num_panels = (rows + panel_rows - 1) / panel_rows;
  return {panel_rows, num_panels, std::clamp<std::int64_t>(threads / num_panels, 1, groups)};
}

struct PackedOperand {
  Operand operand;
  Bf16Matrix matrix;
};

/// store(...) for all rows [rows] x [columns] of left x right.
template <TileFile Tiles, typename Store>
void multiply(const PackedOperand& left, const PackedOperand& right, const Store& store) {
  const bool left_stored = left.operand == Operand::kAsStored, right_stored = right.operand == Operand::kAsStored;
  const std::int64_t rows = left_stored ? left.matrix.rows : left.matrix.columns,
                     columns = right_stored ? right.matrix.columns : right.matrix.rows,
                     steps = num_steps(left_stored ? left.matrix.columns : left.matrix.rows),
                     groups = num_groups(columns);
  if (rows == 0 || columns == 0) return;
  const AlignedBuffer<std::byte> right_tiles(groups * kGroupColumnTiles * steps * kTileBytes);
  const RightOperand operand{right_tiles.data(), columns, steps};
  at::parallel_for(0, groups, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t group = begin; group < end; ++group) {
      pack_right(right.operand, right.matrix, group, right_tiles.data() + group * operand.group_bytes());
    }
  });
  const Division division = divide(rows, steps, groups, at::get_num_threads());
  at::parallel_for(0, division.num_panels * division.num_parts, 1, [&](std::int64_t begin, std::int64_t end) {
    const AlignedBuffer<std::byte> left_tiles((division.panel_rows + kBlockRows) * steps * kLineBytes);
    Tiles tiles;
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t first_row = task / division.num_parts * division.panel_rows, part = task % division.num_parts;
      const LeftPanel panel{left_tiles.data(), first_row, std::min(division.panel_rows, rows - first_row)};
      pack_left(left.operand, left.matrix, first_row, panel.rows, left_tiles.data());
      multiply_panel(tiles, panel, operand,
                     {groups * part / division.num_parts, groups * (part + 1) / division.num_parts}, store);
    }
  });
}

template <TileFile Tiles>
void linear_forward_over(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, Activation activation,
                         at::Tensor z, at::Tensor y) {
  with_activation(activation, [&](auto kind) {
    const StoreActivated<decltype(kind)::value, kGroupColumns> store{
        bias.defined() ? bias.const_data_ptr<float>() : nullptr,
        z.defined() ? z.mutable_data_ptr<at::BFloat16>() : nullptr, y.mutable_data_ptr<at::BFloat16>(), y.size(1)};
    multiply<Tiles>({Operand::kAsStored, matrix_of(x)}, {Operand::kTransposed, matrix_of(weight)}, store);
  });
}

template <TileFile Tiles>
void product_input_gradient_over(const at::Tensor& dy, const at::Tensor& weight, at::Tensor dx) {
  const PackedOperand left{Operand::kAsStored, matrix_of(dy)}, right{Operand::kAsStored, matrix_of(weight)};
  dispatch_operands(dx.scalar_type(), "linear", [&]<typename T>() {
    multiply<Tiles>(left, right, StoreAs<T>{dx.mutable_data_ptr<T>(), dx.size(1)});
  });
}

template <TileFile Tiles>
void activated_input_gradient_over(const at::Tensor& dy, const at::Tensor& weight, const at::Tensor& z,
                                   Activation activation, at::Tensor dz, at::Tensor y) {
  with_activation(activation, [&](auto kind) {
    const StoreSloped<decltype(kind)::value, kGroupColumns> store{z.const_data_ptr<at::BFloat16>(),
                                                                  dz.mutable_data_ptr<at::BFloat16>(),
                                                                  y.mutable_data_ptr<at::BFloat16>(), z.size(1)};
    multiply<Tiles>({Operand::kAsStored, matrix_of(dy)}, {Operand::kAsStored, matrix_of(weight)}, store);
  });
}

/// Longer operands would leave the caches; each run of rows reads and writes the sum once.
inline constexpr std::int64_t kRowsPerSum = 2048;

template <TileFile Tiles>
void weight_gradient_over(const at::Tensor& dy, const at::Tensor& x, Beta beta, at::Tensor sum) {
  const Bf16Matrix left = matrix_of(dy), right = matrix_of(x);
  AddToSum<kGroupColumns> store{sum.mutable_data_ptr<float>(), sum.size(1), beta};
  for (std::int64_t first = 0; first < std::max<std::int64_t>(left.rows, 1); first += kRowsPerSum) {
    const std::int64_t rows = std::min(kRowsPerSum, left.rows - first);
    multiply<Tiles>({Operand::kTransposed, {left.data + first * left.stride, rows, left.columns, left.stride}},
                    {Operand::kAsStored, {right.data + first * right.stride, rows, right.columns, right.stride}},
                    store);
    store.beta = Beta::kOne;
  }
}

template <TileFile Tiles>
ProductKernels products_over() {
  return {linear_forward_over<Tiles>, product_input_gradient_over<Tiles>, activated_input_gradient_over<Tiles>,
          weight_gradient_over<Tiles>};
}

}  // namespace meshfold::models::ops::kernels::amx
