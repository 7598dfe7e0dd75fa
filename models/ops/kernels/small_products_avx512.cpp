#include "models/ops/kernels/small_products_avx512.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

#include "base/instruction_set.hpp"
#include "models/ops/kernels/aligned_buffer.hpp"
#include "models/ops/kernels/lanes_avx512.hpp"

namespace meshfold::models::ops::kernels {
#if defined(__x86_64__)
namespace {

constexpr std::int64_t kLanes = 16, kMostRows = 8;  // 8 rows x 3 vectors of sums fill 24 of the 32 registers

/// Rows `row` .. + kRows and kVectors vectors of columns from `column` on; the last vector may reach beyond C.
template <bool kTransposedA, int kVectors, int kRows>
MESHFOLD_TARGET_AVX512 void multiply_tile(const SmallProduct& p, std::int64_t row, std::int64_t column) {
  const __mmask16 last = first_lanes(p.n - column - (kVectors - 1) * kLanes);
  const float* a = p.a + (kTransposedA ? row : row * p.lda);
  const float* b = p.b + column;
  __m512 sums[kRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 3
    for (int v = 0; v < kVectors; ++v) sums[r][v] = _mm512_setzero_ps();
  }
  for (std::int64_t k = 0; k < p.k; ++k) {
    __m512 right[kVectors];
#pragma GCC unroll 3
    for (int v = 0; v < kVectors; ++v) {
      const float* place = b + k * p.ldb + kLanes * v;
      right[v] = v + 1 < kVectors ? _mm512_loadu_ps(place) : _mm512_maskz_loadu_ps(last, place);
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const __m512 left = _mm512_set1_ps(kTransposedA ? a[r + k * p.lda] : a[r * p.lda + k]);
#pragma GCC unroll 3
      for (int v = 0; v < kVectors; ++v) sums[r][v] = _mm512_fmadd_ps(left, right[v], sums[r][v]);
    }
  }
  const __m512 alpha = _mm512_set1_ps(p.alpha);
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 3
    for (int v = 0; v < kVectors; ++v) {
      float* place = p.c + (row + r) * p.ldc + column + kLanes * v;
      const __mmask16 mask = v + 1 < kVectors ? __mmask16{0xFFFF} : last;
      __m512 sum = _mm512_mul_ps(sums[r][v], alpha);
      if (p.add) sum = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, place), sum);
      _mm512_mask_storeu_ps(place, mask, sum);
    }
  }
}

using MultiplyTile = void (*)(const SmallProduct&, std::int64_t, std::int64_t);

/// Entry r - 1 multiplies r rows.
template <bool kTransposedA, int kVectors, std::size_t... kRowsLessOne>
constexpr auto tiles_of(std::index_sequence<kRowsLessOne...>) {
  return std::array<MultiplyTile, sizeof...(kRowsLessOne)>{
      &multiply_tile<kTransposedA, kVectors, static_cast<int>(kRowsLessOne) + 1>...};
}

/// Tiles of nearly equal height.
template <bool kTransposedA, int kVectors>
void multiply_columns(const SmallProduct& p, std::int64_t column) {
  static constexpr auto kTiles = tiles_of<kTransposedA, kVectors>(std::make_index_sequence<kMostRows>());
  const std::int64_t num_tiles = (p.m + kMostRows - 1) / kMostRows;
  for (std::int64_t t = 0; t < num_tiles; ++t) {
    const std::int64_t begin = p.m * t / num_tiles, end = p.m * (t + 1) / num_tiles;
    kTiles[static_cast<std::size_t>(end - begin - 1)](p, begin, column);
  }
}

template <bool kTransposedA>
void multiply_all(const SmallProduct& p) {
  for (std::int64_t column = 0; column < p.n;) {
    const std::int64_t vectors = (p.n - column + kLanes - 1) / kLanes;
    if (vectors == 1) {
      multiply_columns<kTransposedA, 1>(p, column);
      column += kLanes;
    } else if (vectors == 2 || vectors == 4) {
      multiply_columns<kTransposedA, 2>(p, column);
      column += 2 * kLanes;
    } else {
      multiply_columns<kTransposedA, 3>(p, column);
      column += 3 * kLanes;
    }
  }
}

/// out [columns, stride] = in^T; in [rows, columns] in rows of `ld`; stride >= rows rounded up to whole vectors.
MESHFOLD_TARGET_AVX512 void pack_transposed(const float* in, std::int64_t ld, std::int64_t rows, std::int64_t columns,
                                            float* out, std::int64_t stride) {
  for (std::int64_t row = 0; row < rows; row += kLanes) {
    for (std::int64_t column = 0; column < columns; column += kLanes) {
      const __mmask16 mask = first_lanes(columns - column);
      __m512i lanes[16];
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) {
        lanes[i] =
            row + i < rows ? _mm512_maskz_loadu_epi32(mask, in + (row + i) * ld + column) : _mm512_setzero_si512();
      }
      transpose(lanes);
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) {
        if (column + i < columns) _mm512_storeu_si512(out + (column + i) * stride + row, lanes[i]);
      }
    }
  }
}

/// One thread's own; grows.
float* scratch(std::int64_t count) {
  thread_local std::int64_t capacity = 0;
  thread_local AlignedBuffer<float> buffer(0);
  if (count > capacity) {
    buffer = AlignedBuffer<float>(count);
    capacity = count;
  }
  return buffer.data();
}

}  // namespace

void multiply_avx512(const SmallProduct& product) {
  SmallProduct p = product;
  if (p.transpose_b == Transpose::kYes) {
    const std::int64_t stride = (p.n + kLanes - 1) / kLanes * kLanes;
    float* packed = scratch(p.k * stride);
    pack_transposed(p.b, p.ldb, p.n, p.k, packed, stride);
    p.b = packed;
    p.ldb = stride;
  }
  p.transpose_a == Transpose::kYes ? multiply_all<true>(p) : multiply_all<false>(p);
}
#else
void multiply_avx512(const SmallProduct&) { throw std::logic_error("AVX-512 exists on x86-64 alone"); }
#endif

}  // namespace meshfold::models::ops::kernels
