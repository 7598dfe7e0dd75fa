#include "models/ops/kernels/bf16_panels.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <algorithm>

#include "base/instruction_set.hpp"
#include "models/ops/kernels/lanes_avx512.hpp"

namespace meshfold::models::ops::kernels {
#if defined(__x86_64__)
namespace {

/// Columns first_column .. first_column + 15 of the row pair 2 * pair: one lane a column, the even row in the low half.
[[gnu::always_inline]] MESHFOLD_TARGET_AVX512_BF16 inline __m512i interleaved_pair(const Bf16Matrix& x,
                                                                                   std::int64_t pair,
                                                                                   std::int64_t first_column) {
  const __mmask16 mask = first_lanes(x.columns - first_column);
  const at::BFloat16* row = x.data + 2 * pair * x.stride + first_column;
  const __m512i even = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, row));
  if (2 * pair + 1 >= x.rows) return even;
  const __m512i odd = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, row + x.stride));
  return _mm512_or_si512(even, _mm512_slli_epi32(odd, 16));
}

}  // namespace

MESHFOLD_TARGET_AVX512_BF16 void pack_transposed(const Bf16Matrix& w, std::int64_t first_row, std::uint32_t* panel) {
  const std::int64_t num_pairs = w.columns / 2;
  for (std::int64_t group = 0; group < kPanelColumns; group += 16) {
    for (std::int64_t pair = 0; pair < num_pairs; pair += 16) {
      const __mmask16 mask = first_lanes(num_pairs - pair);
      __m512i rows[16];
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) {
        const std::int64_t row = first_row + group + i;
        rows[i] =
            row < w.rows ? _mm512_maskz_loadu_epi32(mask, w.data + row * w.stride + 2 * pair) : _mm512_setzero_si512();
      }
      transpose(rows);
      const int count = static_cast<int>(std::min<std::int64_t>(16, num_pairs - pair));
      std::uint32_t* out = panel + pair * kPanelColumns + group;
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) {
        if (i < count) _mm512_store_si512(out + i * kPanelColumns, rows[i]);
      }
    }
  }
}

MESHFOLD_TARGET_AVX512_BF16 void pack_interleaved(const Bf16Matrix& x, std::int64_t first_column,
                                                  std::uint32_t* panel) {
  const std::int64_t num_pairs = (x.rows + 1) / 2;
  for (std::int64_t pair = 0; pair < num_pairs; ++pair) {
    for (std::int64_t group = 0; group < kPanelColumns; group += 16) {
      _mm512_store_si512(panel + pair * kPanelColumns + group, interleaved_pair(x, pair, first_column + group));
    }
  }
}

MESHFOLD_TARGET_AVX512_BF16 void pack_left_transposed(const Bf16Matrix& x, std::int64_t first_column,
                                                      std::uint32_t* blocks) {
  const std::int64_t num_pairs = (x.rows + 1) / 2;
  for (std::int64_t pair = 0; pair < num_pairs; ++pair) {
    for (std::int64_t group = 0; group < kLeftColumns; group += 16) {
      const __m512i lanes = interleaved_pair(x, pair, first_column + group);
      std::uint32_t* out = blocks + (group * num_pairs + pair * kTileRows);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm512_castsi512_si256(lanes));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + kTileRows * num_pairs), _mm512_extracti64x4_epi64(lanes, 1));
    }
  }
}
#else
void pack_transposed(const Bf16Matrix&, std::int64_t, std::uint32_t*) {}
void pack_interleaved(const Bf16Matrix&, std::int64_t, std::uint32_t*) {}
void pack_left_transposed(const Bf16Matrix&, std::int64_t, std::uint32_t*) {}
#endif

}  // namespace meshfold::models::ops::kernels
