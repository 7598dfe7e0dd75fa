#include "models/ops/kernels/small_products_bf16.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

#include "base/instruction_set.hpp"
#include "models/ops/kernels/aligned_buffer.hpp"
#include "models/ops/kernels/bf16_panels.hpp"
#include "models/ops/kernels/lanes_avx512.hpp"

#if defined(__x86_64__)
#include "models/ops/kernels/bf16_tile.hpp"
#endif

namespace meshfold::models::ops::kernels {
#if defined(__x86_64__)
namespace {

/// Where a tile's sums go: `columns` of a panel's width.
struct Target {
  float* c;
  std::int64_t ldc, columns;
  float alpha;
};

template <int kRows>
MESHFOLD_TARGET_AVX512_BF16 void multiply_tile(Bf16Rows left, const std::uint32_t* panel, std::int64_t num_pairs,
                                               const Target& target) {
  __m512 sums[kRows][kVectors];
  multiply_in_registers<LeftOrder::kRows, kRows>(reinterpret_cast<const char*>(left.data),
                                                 left.stride * static_cast<std::int64_t>(sizeof(at::BFloat16)), panel,
                                                 num_pairs, sums);
  const __m512 alpha = _mm512_set1_ps(target.alpha);
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 3
    for (int v = 0; v < kVectors; ++v) {
      _mm512_mask_storeu_ps(target.c + r * target.ldc + 16 * v, first_lanes(target.columns - 16 * v),
                            _mm512_mul_ps(sums[r][v], alpha));
    }
  }
}

using MultiplyTile = void (*)(Bf16Rows, const std::uint32_t*, std::int64_t, const Target&);

template <std::size_t... kRowsLessOne>
constexpr auto tiles_of(std::index_sequence<kRowsLessOne...>) {
  return std::array<MultiplyTile, sizeof...(kRowsLessOne)>{&multiply_tile<static_cast<int>(kRowsLessOne) + 1>...};
}

/// The columns of C from `column` on, a panel's width.
void multiply_panel(std::int64_t m, std::int64_t num_pairs, Bf16Rows a, const std::uint32_t* panel,
                    const Target& target) {
  static constexpr auto kTiles = tiles_of(std::make_index_sequence<kTileRows>());  // entry r - 1 multiplies r rows
  const std::int64_t num_tiles = (m + kTileRows - 1) / kTileRows;
  for (std::int64_t t = 0; t < num_tiles; ++t) {
    const std::int64_t begin = m * t / num_tiles, end = m * (t + 1) / num_tiles;
    Target rows = target;
    rows.c += begin * target.ldc;
    kTiles[static_cast<std::size_t>(end - begin - 1)](a.from(begin), panel, num_pairs, rows);
  }
}

}  // namespace

void pack_bf16_rows(std::int64_t n, std::int64_t k, Bf16Rows b, std::uint32_t* panels) {
  for (std::int64_t panel = 0; panel < num_panels(n); ++panel) {
    const std::int64_t column = panel * kPanelColumns;
    pack_transposed({b.data, n, k, b.stride}, column, panels + column * (k / 2));
  }
}

void multiply_packed_rows(std::int64_t m, std::int64_t n, std::int64_t k, float alpha, Bf16Rows a,
                          const std::uint32_t* panels, float* c, std::int64_t ldc) {
  for (std::int64_t column = 0; column < n; column += kPanelColumns) {
    multiply_panel(m, k / 2, a, panels + column * (k / 2),
                   {c + column, ldc, std::min(kPanelColumns, n - column), alpha});
  }
}

void multiply_bf16_rows(std::int64_t m, std::int64_t n, std::int64_t k, float alpha, Bf16Rows a, Bf16Rows b, float* c,
                        std::int64_t ldc) {
  const std::int64_t num_pairs = k / 2;
  thread_local std::int64_t capacity = 0;
  thread_local AlignedBuffer<std::uint32_t> panel(0);
  if (num_pairs > capacity) {
    panel = AlignedBuffer<std::uint32_t>(num_pairs * kPanelColumns);
    capacity = num_pairs;
  }
  for (std::int64_t column = 0; column < n; column += kPanelColumns) {
    pack_transposed({b.data, n, k, b.stride}, column, panel.data());
    multiply_panel(m, num_pairs, a, panel.data(), {c + column, ldc, std::min(kPanelColumns, n - column), alpha});
  }
}
#else
void pack_bf16_rows(std::int64_t, std::int64_t, Bf16Rows, std::uint32_t*) {
  throw std::logic_error("bf16 dot products exist on x86-64 alone");
}
void multiply_packed_rows(std::int64_t, std::int64_t, std::int64_t, float, Bf16Rows, const std::uint32_t*, float*,
                          std::int64_t) {
  throw std::logic_error("bf16 dot products exist on x86-64 alone");
}
void multiply_bf16_rows(std::int64_t, std::int64_t, std::int64_t, float, Bf16Rows, Bf16Rows, float*, std::int64_t) {
  throw std::logic_error("bf16 dot products exist on x86-64 alone");
}
#endif

std::int64_t packed_elements(std::int64_t n, std::int64_t k) { return num_panels(n) * kPanelColumns * (k / 2); }

}  // namespace meshfold::models::ops::kernels
