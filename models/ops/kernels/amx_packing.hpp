#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "models/ops/kernels/amx_tiles.hpp"
#include "models/ops/kernels/bf16_panels.hpp"

/// Operands of bf16 products, cut into tiles that lie one behind the other, 1 KiB each, as tile loads read them
/// fastest. Two neighbours along the summed dim make a *pair*; a *step* is what one tile covers of that dim, 16 pairs.
/// What lies outside a matrix is zero in its tiles. Only where the CPU has AVX512-BF16.
namespace meshfold::models::ops::kernels::amx {

inline constexpr std::int64_t kStepLength = 32;                           ///< of the summed dim
inline constexpr std::int64_t kBlockRowTiles = 3, kBlockRows = 48;        ///< of the left operand
inline constexpr std::int64_t kGroupColumnTiles = 2, kGroupColumns = 32;  ///< of the right operand

/// At least one: an empty sum is a step of zeros.
inline std::int64_t num_steps(std::int64_t summed) {
  return std::max<std::int64_t>(1, (summed + kStepLength - 1) / kStepLength);
}
inline std::int64_t num_groups(std::int64_t columns) { return (columns + kGroupColumns - 1) / kGroupColumns; }
/// What `rows` of a block need: the last block of a panel may be lower.
inline std::int64_t num_row_tiles(std::int64_t rows) { return (rows + kTileLines - 1) / kTileLines; }

/// How a matrix in memory stands to the operand that it is.
enum class Operand { kAsStored, kTransposed };

/// A panel of the left operand: blocks of kBlockRows rows (first_row .. first_row + rows), in each step after step, and
/// for each step the block's row tiles. num_row_tiles(rows) * num_steps(summed) tiles.
void pack_left(Operand operand, const Bf16Matrix& matrix, std::int64_t first_row, std::int64_t rows, std::byte* panel);
/// Group `group` of kGroupColumns columns of the right operand: step after step, for each its two column tiles.
void pack_right(Operand operand, const Bf16Matrix& matrix, std::int64_t group, std::byte* tiles);

}  // namespace meshfold::models::ops::kernels::amx
