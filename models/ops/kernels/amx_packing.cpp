#include "models/ops/kernels/amx_packing.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <algorithm>

#include "base/instruction_set.hpp"
#include "models/ops/kernels/lanes_avx512.hpp"

namespace meshfold::models::ops::kernels::amx {
#if defined(__x86_64__)
namespace {

using Lines = __m512i[kTileLines];

/// 16 rows from `row` on by 32 columns from `column` on, a row a line: pairs lie along the columns.
[[gnu::always_inline]] MESHFOLD_TARGET_AVX512_BF16 inline void load_rows(const Bf16Matrix& x, std::int64_t row,
                                                                         std::int64_t column, Lines& lines) {
  const std::int64_t count = x.columns - column;
  const __mmask32 mask = count >= 32 ? ~__mmask32{0} : (__mmask32{1} << std::max<std::int64_t>(count, 0)) - 1;
#pragma GCC unroll 16
  for (int i = 0; i < kTileLines; ++i) {
    lines[i] = row + i < x.rows ? _mm512_maskz_loadu_epi16(mask, x.data + (row + i) * x.stride + column)
                                : _mm512_setzero_si512();
  }
}

/// 16 columns of one row, each in the low half of a lane.
[[gnu::always_inline]] MESHFOLD_TARGET_AVX512_BF16 inline __m512i load_low_halves(const Bf16Matrix& x, std::int64_t row,
                                                                                  std::int64_t column, __mmask16 mask) {
  if (row >= x.rows) return _mm512_setzero_si512();
  return _mm512_maskz_cvtepu16_epi32(0xFFFF, _mm256_maskz_loadu_epi16(mask, x.data + row * x.stride + column));
}

/// 32 rows from `row` on by 16 columns from `column` on, two rows a line: pairs lie along the rows.
[[gnu::always_inline]] MESHFOLD_TARGET_AVX512_BF16 inline void load_row_pairs(const Bf16Matrix& x, std::int64_t row,
                                                                              std::int64_t column, Lines& lines) {
  const __mmask16 mask = first_lanes(x.columns - column);
#pragma GCC unroll 16
  for (int i = 0; i < kTileLines; ++i) {
    const __m512i even = load_low_halves(x, row + 2 * i, column, mask);
    const __m512i odd = load_low_halves(x, row + 2 * i + 1, column, mask);
    lines[i] = _mm512_or_si512(even, _mm512_maskz_slli_epi32(0xFFFF, odd, 16));
  }
}

[[gnu::always_inline]] MESHFOLD_TARGET_AVX512_BF16 inline void store_lines(const Lines& lines, std::byte* tile) {
#pragma GCC unroll 16
  for (int i = 0; i < kTileLines; ++i) _mm512_store_si512(tile + i * kLineBytes, lines[i]);
}

/// The left operand: one line per row, pairs side by side.
MESHFOLD_TARGET_AVX512_BF16 void pack_left_tile(Operand operand, const Bf16Matrix& matrix, std::int64_t row,
                                                std::int64_t summed, std::byte* tile) {
  Lines lines;
  if (operand == Operand::kAsStored) {
    load_rows(matrix, row, summed, lines);
  } else {
    load_row_pairs(matrix, summed, row, lines);
    transpose(lines);
  }
  store_lines(lines, tile);
}

/// The right operand: one line per pair, columns side by side.
MESHFOLD_TARGET_AVX512_BF16 void pack_right_tile(Operand operand, const Bf16Matrix& matrix, std::int64_t summed,
                                                 std::int64_t column, std::byte* tile) {
  Lines lines;
  if (operand == Operand::kAsStored) {
    load_row_pairs(matrix, summed, column, lines);
  } else {
    load_rows(matrix, column, summed, lines);
    transpose(lines);
  }
  store_lines(lines, tile);
}

}  // namespace

void pack_left(Operand operand, const Bf16Matrix& matrix, std::int64_t first_row, std::int64_t rows, std::byte* panel) {
  const std::int64_t steps = num_steps(operand == Operand::kAsStored ? matrix.columns : matrix.rows);
  for (std::int64_t block = 0; block < rows; block += kBlockRows) {
    const std::int64_t row_tiles = num_row_tiles(std::min(kBlockRows, rows - block));
    for (std::int64_t step = 0; step < steps; ++step) {
      for (std::int64_t r = 0; r < row_tiles; ++r) {
        pack_left_tile(operand, matrix, first_row + block + r * kTileLines, step * kStepLength, panel);
        panel += kTileBytes;
      }
    }
  }
}

void pack_right(Operand operand, const Bf16Matrix& matrix, std::int64_t group, std::byte* tiles) {
  const std::int64_t steps = num_steps(operand == Operand::kAsStored ? matrix.rows : matrix.columns);
  for (std::int64_t step = 0; step < steps; ++step) {
    for (std::int64_t c = 0; c < kGroupColumnTiles; ++c) {
      pack_right_tile(operand, matrix, step * kStepLength, group * kGroupColumns + c * kTileLines, tiles);
      tiles += kTileBytes;
    }
  }
}
#else
void pack_left(Operand, const Bf16Matrix&, std::int64_t, std::int64_t, std::byte*) {}
void pack_right(Operand, const Bf16Matrix&, std::int64_t, std::byte*) {}
#endif

}  // namespace meshfold::models::ops::kernels::amx
