#pragma once

#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>
#include <cstdint>

#include "base/instruction_set.hpp"

/// Rearranging 32-bit lanes inside AVX-512 kernels.
namespace meshfold::models::ops::kernels {

/// Rows and columns of 16 x 16 lanes exchanged: neighbours of 32, 64, 128 and 256 bits in turn.
[[gnu::always_inline]] MESHFOLD_TARGET_AVX512 inline void transpose(__m512i (&rows)[16]) {
  __m512i half[16];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    half[2 * i] = _mm512_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
    half[2 * i + 1] = _mm512_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    rows[4 * i] = _mm512_unpacklo_epi64(half[4 * i], half[4 * i + 2]);
    rows[4 * i + 1] = _mm512_unpackhi_epi64(half[4 * i], half[4 * i + 2]);
    rows[4 * i + 2] = _mm512_unpacklo_epi64(half[4 * i + 1], half[4 * i + 3]);
    rows[4 * i + 3] = _mm512_unpackhi_epi64(half[4 * i + 1], half[4 * i + 3]);
  }
  constexpr int kEvenQuarters = 0x88, kOddQuarters = 0xDD;
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    half[i] = _mm512_shuffle_i32x4(rows[i], rows[i + 4], kEvenQuarters);
    half[i + 4] = _mm512_shuffle_i32x4(rows[i], rows[i + 4], kOddQuarters);
    half[i + 8] = _mm512_shuffle_i32x4(rows[i + 8], rows[i + 12], kEvenQuarters);
    half[i + 12] = _mm512_shuffle_i32x4(rows[i + 8], rows[i + 12], kOddQuarters);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    rows[i] = _mm512_shuffle_i32x4(half[i], half[i + 8], kEvenQuarters);
    rows[i + 8] = _mm512_shuffle_i32x4(half[i], half[i + 8], kOddQuarters);
  }
}

MESHFOLD_TARGET_AVX512 inline __mmask16 first_lanes(std::int64_t count) {
  return count >= 16 ? __mmask16{0xFFFF} : static_cast<__mmask16>((1U << std::max<std::int64_t>(count, 0)) - 1U);
}

}  // namespace meshfold::models::ops::kernels
#endif
