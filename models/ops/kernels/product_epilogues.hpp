#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "base/instruction_set.hpp"
#include "models/ops/kernels/activation_math.hpp"
#include "models/ops/kernels/bf16_panels.hpp"
#include "models/ops/kernels/bf16_products.hpp"
#include "models/ops/kernels/lanes_avx512.hpp"

/// What becomes of a finished row of a product: store(sums, row, column, count) takes `count` columns from `column` on.
/// `sums` are aligned for whole vectors, kWidth values that a store may overwrite; prefetch(row, column) comes before
/// the sums are made. Included where __x86_64__ is defined; called only where the CPU has AVX512-BF16.
namespace meshfold::models::ops::kernels {

/// `count` values of one row, rounded.
MESHFOLD_TARGET_AVX512_BF16 inline void store_row(const float* values, std::int64_t count, at::BFloat16* out) {
  for (std::int64_t i = 0; i < count; i += 16) {
    const __m256bh rounded = _mm512_cvtneps_pbh(_mm512_load_ps(values + i));
    _mm256_mask_storeu_epi16(out + i, first_lanes(count - i), reinterpret_cast<__m256i>(rounded));
  }
}

/// kWidth values of one row, zero from `count` on. In whole vectors, as it will be read: a load that covers two
/// stores waits for both.
template <std::int64_t kWidth>
MESHFOLD_TARGET_AVX512_BF16 void load_row(const at::BFloat16* in, std::int64_t count, float* values) {
  for (std::int64_t i = 0; i < kWidth; i += 16) {
    // The masked forms, because GCC 12 warns of its own header's plain ones.
    const __m512i lanes = _mm512_maskz_cvtepu16_epi32(0xFFFF, _mm256_maskz_loadu_epi16(first_lanes(count - i), in + i));
    _mm512_store_si512(values + i, _mm512_maskz_slli_epi32(0xFFFF, lanes, 16));
  }
}

/// To values that bf16 holds.
template <std::int64_t kWidth>
MESHFOLD_TARGET_AVX512_BF16 void round_row(float* values) {
  for (std::int64_t i = 0; i < kWidth; i += 16) {
    const auto rounded = reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(_mm512_load_ps(values + i)));
    const __m512i lanes = _mm512_maskz_cvtepu16_epi32(0xFFFF, rounded);
    _mm512_store_si512(values + i, _mm512_maskz_slli_epi32(0xFFFF, lanes, 16));
  }
}

inline void store_row(const float* values, std::int64_t count, float* out) {
  std::memcpy(out, values, static_cast<std::size_t>(count) * sizeof(float));
}

template <typename T>
struct StoreAs {
  T* out;
  std::int64_t stride;
  void prefetch(std::int64_t, std::int64_t) const {}
  void operator()(float* sums, std::int64_t row, std::int64_t column, std::int64_t count) const {
    store_row(sums, count, out + row * stride + column);
  }
};

template <Activation kActivation, std::int64_t kWidth = kPanelColumns>
struct StoreActivated {
  const float* bias;    ///< may be null
  at::BFloat16 *z, *y;  ///< z may be null
  std::int64_t stride;

  void prefetch(std::int64_t, std::int64_t) const {}
  MESHFOLD_TARGET_AVX512_BF16 void operator()(float* sums, std::int64_t row, std::int64_t column,
                                              std::int64_t count) const {
    if (bias) {
      for (std::int64_t i = 0; i < count; ++i) sums[i] += bias[column + i];
    }
    const std::int64_t place = row * stride + column;
    if constexpr (kActivation != Activation::kNone) {
      if (z) store_row(sums, count, z + place);
      round_row<kWidth>(sums);  // as backward will see it
      for (std::int64_t i = 0; i < kWidth; ++i) sums[i] = value_of<kActivation, at::BFloat16>(sums[i]);
    }
    store_row(sums, count, y + place);
  }
};

template <Activation kActivation, std::int64_t kWidth = kPanelColumns>
struct StoreSloped {
  const at::BFloat16* z;
  at::BFloat16 *dz, *y;
  std::int64_t stride;

  void prefetch(std::int64_t row, std::int64_t column) const {
    const at::BFloat16* place = z + row * stride + column;
    for (std::int64_t i = 0; i < kWidth; i += 32) __builtin_prefetch(place + i);
  }
  MESHFOLD_TARGET_AVX512_BF16 void operator()(float* sums, std::int64_t row, std::int64_t column,
                                              std::int64_t count) const {
    const std::int64_t place = row * stride + column;
    alignas(64) float inputs[kWidth], values[kWidth];
    load_row<kWidth>(z + place, count, inputs);
    for (std::int64_t i = 0; i < kWidth; ++i) {
      values[i] = value_of<kActivation, at::BFloat16>(inputs[i]);
      sums[i] *= slope_of<kActivation, at::BFloat16>(inputs[i]);
    }
    store_row(sums, count, dz + place);
    store_row(values, count, y + place);
  }
};

template <std::int64_t kWidth = kPanelColumns>
struct AddToSum {
  float* sum;
  std::int64_t stride;
  Beta beta;

  /// The sum comes from memory: ask for it while the tile is multiplied.
  void prefetch(std::int64_t row, std::int64_t column) const {
    if (beta == Beta::kZero) return;
    const float* out = sum + row * stride + column;
    for (std::int64_t i = 0; i < kWidth; i += 16) __builtin_prefetch(out + i, /*for writing=*/1);
  }
  MESHFOLD_TARGET_AVX512_BF16 void operator()(float* sums, std::int64_t row, std::int64_t column,
                                              std::int64_t count) const {
    float* out = sum + row * stride + column;
    if (beta == Beta::kOne) {
      for (std::int64_t i = 0; i < count; ++i) out[i] += sums[i];
    } else {
      store_row(sums, count, out);
    }
  }
};

}  // namespace meshfold::models::ops::kernels
