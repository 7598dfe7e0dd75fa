#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "base/instruction_set.hpp"
#include "models/ops/kernels/bf16_panels.hpp"

/// The inner loop of bf16 products. Included where __x86_64__ is defined; called only where base::has_avx512_bf16().
namespace meshfold::models::ops::kernels {

/// Where the pairs of a left operand lie: row after row as they are in memory, or in the blocks of
/// pack_left_transposed().
enum class LeftOrder { kRows, kBlocks };

inline constexpr std::int64_t kVectors = kPanelColumns / 16;

[[gnu::always_inline]] MESHFOLD_TARGET_AVX512_BF16 inline __m512bh broadcast_pair(const char* pair) {
  std::int32_t lanes;
  std::memcpy(&lanes, pair, sizeof lanes);
  return reinterpret_cast<__m512bh>(_mm512_set1_epi32(lanes));
}

/// sums [kRows, kPanelColumns] = left x panel. `left`: the first row's first pair; with kRows order the next row is
/// `row_bytes` further.
template <LeftOrder kOrder, int kRows>
[[gnu::always_inline]] MESHFOLD_TARGET_AVX512_BF16 inline void multiply_in_registers(const char* left,
                                                                                     std::int64_t row_bytes,
                                                                                     const std::uint32_t* panel,
                                                                                     std::int64_t num_pairs,
                                                                                     __m512 (&sums)[kRows][kVectors]) {
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 3
    for (int v = 0; v < kVectors; ++v) sums[r][v] = _mm512_setzero_ps();
  }
  for (std::int64_t pair = 0; pair < num_pairs; ++pair) {
    __m512bh right[kVectors];
#pragma GCC unroll 3
    for (int v = 0; v < kVectors; ++v) {
      right[v] = reinterpret_cast<__m512bh>(_mm512_load_si512(panel + pair * kPanelColumns + 16 * v));
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const char* place =
          kOrder == LeftOrder::kRows ? left + r * row_bytes + 4 * pair : left + 4 * (kTileRows * pair + r);
      const __m512bh both = broadcast_pair(place);
#pragma GCC unroll 3
      for (int v = 0; v < kVectors; ++v) sums[r][v] = _mm512_dpbf16_ps(sums[r][v], both, right[v]);
    }
  }
}

}  // namespace meshfold::models::ops::kernels
