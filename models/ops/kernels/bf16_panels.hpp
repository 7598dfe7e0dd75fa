#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

/// Operands of bf16 products, cut and ordered as the dot-product instructions read them. Two neighbours along the
/// summed dim make a *pair*, one 32-bit lane. A *panel* holds kPanelColumns columns of the right operand: pair after
/// pair, and for each the columns side by side. Missing columns and the second half of an odd last pair are zero.
namespace meshfold::models::ops::kernels {

inline constexpr std::int64_t kPanelColumns = 48;  ///< three vectors
inline constexpr std::int64_t kTileRows = 8;       ///< 8 x 48 sums fill 24 of the 32 registers

inline std::int64_t num_panels(std::int64_t columns) { return (columns + kPanelColumns - 1) / kPanelColumns; }

/// A matrix of bf16 in rows of `stride` elements.
struct Bf16Matrix {
  const at::BFloat16* data;
  std::int64_t rows, columns, stride;
};

/// Only where base::has_avx512_bf16().
/// The panel of W^T for the rows first_row .. of W [rows, columns] (columns even): pairs run along W's columns.
void pack_transposed(const Bf16Matrix& w, std::int64_t first_row, std::uint32_t* panel);
/// The panel of X for its columns first_column .. : pairs run along X's rows.
void pack_interleaved(const Bf16Matrix& x, std::int64_t first_column, std::uint32_t* panel);
/// X^T as a left operand, for the columns first_column .. first_column + 31 of X: four blocks of kTileRows columns,
/// each block pair after pair along X's rows, ceil(rows / 2) x kTileRows.
void pack_left_transposed(const Bf16Matrix& x, std::int64_t first_column, std::uint32_t* blocks);
inline constexpr std::int64_t kLeftColumns = 32;

}  // namespace meshfold::models::ops::kernels
