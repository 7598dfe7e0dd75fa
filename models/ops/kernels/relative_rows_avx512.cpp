#include "models/ops/kernels/relative_rows_avx512.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <bit>
#include <stdexcept>

#include "base/instruction_set.hpp"
#include "models/ops/kernels/lanes_avx512.hpp"

namespace meshfold::models::ops::kernels {
#if defined(__x86_64__)
namespace {

constexpr std::int64_t kLanes = 16;

/// Lane i: the row's value for slots[i]. `row` is where slot 0 would be.
[[gnu::always_inline]] MESHFOLD_TARGET_AVX512 inline __m512 gather(const float* row, const std::int32_t* slots) {
  const __m512i offsets = _mm512_sub_epi32(_mm512_loadu_si512(slots), _mm512_set1_epi32(slots[0]));
  return _mm512_permutexvar_ps(offsets, _mm512_loadu_ps(row + slots[0]));
}

/// Lane i gets lane i - kCount added where both have one slot.
template <int kCount>
[[gnu::always_inline]] MESHFOLD_TARGET_AVX512 inline __m512 add_neighbours(__m512 values, __m512i slots) {
  constexpr auto kHaveOne = static_cast<__mmask16>(0xFFFF << kCount);
  const __m512i zero = _mm512_setzero_si512();
  const __m512i before = _mm512_alignr_epi32(slots, zero, 16 - kCount);
  const __m512i shifted = _mm512_alignr_epi32(_mm512_castps_si512(values), zero, 16 - kCount);
  const __mmask16 equal = _mm512_mask_cmpeq_epi32_mask(kHaveOne, slots, before);
  return _mm512_mask_add_ps(values, equal, values, _mm512_castsi512_ps(shifted));
}

/// row[slots[i]] += values[i] for the first `count` lanes.
[[gnu::always_inline]] MESHFOLD_TARGET_AVX512 inline void scatter_add(__m512 values, std::int64_t count,
                                                                      const std::int32_t* slots, float* row) {
  float* const out = row + slots[0];
  __mmask16 mask = first_lanes(count);
  if (slots[count - 1] - slots[0] != count - 1) {
    const __m512i lanes = _mm512_loadu_si512(slots);
    values = add_neighbours<1>(values, lanes);
    values = add_neighbours<2>(values, lanes);
    values = add_neighbours<4>(values, lanes);
    values = add_neighbours<8>(values, lanes);
    const __mmask16 last_of_slot = _mm512_cmpneq_epi32_mask(lanes, _mm512_loadu_si512(slots + 1));
    const auto sums = static_cast<__mmask16>((last_of_slot | 1U << (count - 1)) & mask);
    values = _mm512_maskz_compress_ps(sums, values);
    mask = first_lanes(std::popcount(static_cast<unsigned>(sums)));
  }
  _mm512_mask_storeu_ps(out, mask, _mm512_add_ps(values, _mm512_maskz_loadu_ps(mask, out)));
}

/// Permutation that turns the first `count` lanes around.
[[gnu::always_inline]] MESHFOLD_TARGET_AVX512 inline __m512i backwards(std::int64_t count) {
  const __m512i lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  return _mm512_sub_epi32(_mm512_set1_epi32(static_cast<int>(count) - 1), lanes);
}

/// Where slot 0 of a row would be.
float* slot_zero(const SlotBlock& positions, std::int64_t row) {
  return positions.values + (row - positions.begin) * positions.stride - positions.first_slot;
}

float* score(const ScoreRows& scores, std::int64_t query, std::int64_t key) {
  return scores.values + (query - scores.begin) * scores.stride + key;
}

/// scores[queries, keys] of up to 16 x 16 += positions[key, slot].
MESHFOLD_TARGET_AVX512 void add_square(const RelativeSlots& slots, const SlotBlock& positions, const ScoreRows& scores,
                                       std::int64_t q, std::int64_t k) {
  const std::int64_t num_queries = std::min(kLanes, scores.end - q), num_keys = std::min(kLanes, positions.end - k);
  __m512i lanes[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) {
    lanes[i] = i < num_keys ? _mm512_castps_si512(gather(slot_zero(positions, k + i), slots.from_distance(q - k - i)))
                            : _mm512_setzero_si512();
  }
  transpose(lanes);
  const __mmask16 mask = first_lanes(num_keys);
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) {
    if (i >= num_queries) break;
    float* const out = score(scores, q + i, k);
    const __m512 sum = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, out), _mm512_castsi512_ps(lanes[i]));
    _mm512_mask_storeu_ps(out, mask, sum);
  }
}

/// The transpose of add_square().
MESHFOLD_TARGET_AVX512 void spread_square(const RelativeSlots& slots, const ScoreRows& scores,
                                          const SlotBlock& positions, std::int64_t q, std::int64_t k) {
  const std::int64_t num_queries = std::min(kLanes, scores.end - q), num_keys = std::min(kLanes, positions.end - k);
  const __mmask16 mask = first_lanes(num_keys);
  __m512i lanes[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) {
    lanes[i] = i < num_queries ? _mm512_maskz_loadu_epi32(mask, score(scores, q + i, k)) : _mm512_setzero_si512();
  }
  transpose(lanes);
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) {
    if (i >= num_keys) break;
    scatter_add(_mm512_castsi512_ps(lanes[i]), num_queries, slots.from_distance(q - k - i),
                slot_zero(positions, k + i));
  }
}

}  // namespace

MESHFOLD_TARGET_AVX512 void add_query_rows(const RelativeSlots& slots, const SlotBlock& positions,
                                           const ScoreRows& scores) {
  for (std::int64_t q = scores.begin; q < scores.end; ++q) {
    const float* row = slot_zero(positions, q);
    for (std::int64_t k = 0; k < scores.num_keys; k += kLanes) {
      const std::int64_t count = std::min(kLanes, scores.num_keys - k);
      const __mmask16 mask = first_lanes(count);
      float* const out = score(scores, q, k);
      const __m512 by_distance = gather(row, slots.from_distance(q - k - count + 1));
      const __m512 by_key = _mm512_permutexvar_ps(backwards(count), by_distance);
      _mm512_mask_storeu_ps(out, mask, _mm512_add_ps(_mm512_maskz_loadu_ps(mask, out), by_key));
    }
  }
}

MESHFOLD_TARGET_AVX512 void spread_to_query_rows(const RelativeSlots& slots, const ScoreRows& scores,
                                                 const SlotBlock& positions) {
  for (std::int64_t q = scores.begin; q < scores.end; ++q) {
    float* const row = slot_zero(positions, q);
    for (std::int64_t k = 0; k < scores.num_keys; k += kLanes) {
      const std::int64_t count = std::min(kLanes, scores.num_keys - k);
      const __m512 by_key = _mm512_maskz_loadu_ps(first_lanes(count), score(scores, q, k));
      const __m512 by_distance = _mm512_permutexvar_ps(backwards(count), by_key);
      scatter_add(by_distance, count, slots.from_distance(q - k - count + 1), row);
    }
  }
}

void add_key_rows(const RelativeSlots& slots, const SlotBlock& positions, const ScoreRows& scores) {
  for (std::int64_t k = positions.begin; k < positions.end; k += kLanes)
    for (std::int64_t q = scores.begin; q < scores.end; q += kLanes) add_square(slots, positions, scores, q, k);
}

void spread_to_key_rows(const RelativeSlots& slots, const ScoreRows& scores, const SlotBlock& positions) {
  for (std::int64_t k = positions.begin; k < positions.end; k += kLanes)
    for (std::int64_t q = scores.begin; q < scores.end; q += kLanes) spread_square(slots, scores, positions, q, k);
}
#else
namespace {
[[noreturn]] void refuse() { throw std::logic_error("AVX-512 exists on x86-64 alone"); }
}  // namespace
void add_query_rows(const RelativeSlots&, const SlotBlock&, const ScoreRows&) { refuse(); }
void add_key_rows(const RelativeSlots&, const SlotBlock&, const ScoreRows&) { refuse(); }
void spread_to_query_rows(const RelativeSlots&, const ScoreRows&, const SlotBlock&) { refuse(); }
void spread_to_key_rows(const RelativeSlots&, const ScoreRows&, const SlotBlock&) { refuse(); }
#endif

}  // namespace meshfold::models::ops::kernels
