#include "models/context/dropout.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <stdexcept>
#include <string>

#include "base/instruction_set.hpp"
#include "models/context/back_end.hpp"
#include "models/context/operand_types.hpp"
#include "models/context/philox_tensors.hpp"
#include "models/context/token_rows.hpp"

namespace meshfold::models::ops {
namespace kernels {
namespace {

void fill_group(const DropoutDraws& draws, std::int64_t i, float* out) {
  const auto row = draws.first + static_cast<std::uint32_t>(i / draws.groups);
  const auto group = static_cast<std::uint32_t>(i % draws.groups);
  const auto words = base::philox4x32_10({draws.step, draws.philox_row, row, group}, draws.key);
  for (int j = 0; j < 8; ++j) {
    out[j] = base::draw16(words, j) < draws.threshold.threshold ? 0.0F : draws.threshold.scale;
  }
}

}  // namespace

void fill_multipliers_portable(const DropoutDraws& draws, float* out) {
  for (std::int64_t i = 0; i < draws.count * draws.groups; ++i) fill_group(draws, i, out + 8 * i);
}

#if defined(__x86_64__)
namespace {

/// High and low halves of a * b for eight 32-bit lanes.
struct WideProduct {
  __m256i high, low;
};

MESHFOLD_TARGET_AVX2 inline void multiply(__m256i a, std::uint32_t b, WideProduct& product) {
  const __m256i factor = _mm256_set1_epi32(static_cast<int>(b));
  const __m256i even = _mm256_mul_epu32(a, factor);
  const __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), factor);
  product.high = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA);
  product.low = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA);
}

/// Ten rounds for eight counters at once; words[w] holds word w of each.
MESHFOLD_TARGET_AVX2 inline void philox(base::PhiloxKey key, __m256i (&words)[4]) {
  for (int round = 0; round < 10; ++round) {
    WideProduct product0, product1;
    multiply(words[0], 0xD2511F53u, product0);
    multiply(words[2], 0xCD9E8D57u, product1);
    words[0] =
        _mm256_xor_si256(_mm256_xor_si256(product1.high, words[1]), _mm256_set1_epi32(static_cast<int>(key.low)));
    words[2] =
        _mm256_xor_si256(_mm256_xor_si256(product0.high, words[3]), _mm256_set1_epi32(static_cast<int>(key.high)));
    words[1] = product1.low;
    words[3] = product0.low;
    key.low += 0x9E3779B9u;
    key.high += 0xBB67AE85u;
  }
}

/// The 128 bits of one call are its eight 16-bit draws in order (little-endian).
MESHFOLD_TARGET_AVX2 inline void store_multipliers(__m128i draws, __m256i threshold, __m256 scale, float* out) {
  const __m256i dropped = _mm256_cmpgt_epi32(threshold, _mm256_cvtepu16_epi32(draws));
  _mm256_storeu_ps(out, _mm256_andnot_ps(_mm256_castsi256_ps(dropped), scale));
}

}  // namespace

MESHFOLD_TARGET_AVX2 void fill_multipliers_avx2(const DropoutDraws& draws, float* out) {
  const std::int64_t total = draws.count * draws.groups;
  const __m256i threshold = _mm256_set1_epi32(static_cast<int>(draws.threshold.threshold));
  const __m256 scale = _mm256_set1_ps(draws.threshold.scale);
  const auto groups = static_cast<std::uint32_t>(draws.groups);
  std::uint32_t row = draws.first, group = 0;
  std::int64_t i = 0;
  for (; i + 8 <= total; i += 8) {
    alignas(32) std::uint32_t rows[8], columns[8];
    for (int lane = 0; lane < 8; ++lane) {
      rows[lane] = row;
      columns[lane] = group;
      if (++group == groups) {
        group = 0;
        ++row;
      }
    }
    __m256i words[4] = {_mm256_set1_epi32(static_cast<int>(draws.step)),
                        _mm256_set1_epi32(static_cast<int>(draws.philox_row)),
                        _mm256_load_si256(reinterpret_cast<const __m256i*>(rows)),
                        _mm256_load_si256(reinterpret_cast<const __m256i*>(columns))};
    philox(draws.key, words);
    // Transpose 4 words x 8 calls, so that each 128-bit lane holds one call.
    const __m256i low01 = _mm256_unpacklo_epi32(words[0], words[1]), high01 = _mm256_unpackhi_epi32(words[0], words[1]);
    const __m256i low23 = _mm256_unpacklo_epi32(words[2], words[3]), high23 = _mm256_unpackhi_epi32(words[2], words[3]);
    const __m256i calls[4] = {_mm256_unpacklo_epi64(low01, low23), _mm256_unpackhi_epi64(low01, low23),
                              _mm256_unpacklo_epi64(high01, high23), _mm256_unpackhi_epi64(high01, high23)};
    for (int c = 0; c < 4; ++c) {
      store_multipliers(_mm256_castsi256_si128(calls[c]), threshold, scale, out + 8 * (i + c));
      store_multipliers(_mm256_extracti128_si256(calls[c], 1), threshold, scale, out + 8 * (i + c + 4));
    }
  }
  for (; i < total; ++i) fill_group(draws, i, out + 8 * i);
}

namespace {

MESHFOLD_TARGET_AVX512 inline void multiply(__m512i a, std::uint32_t b, __m512i& high, __m512i& low) {
  const __m512i factor = _mm512_set1_epi32(static_cast<int>(b));
  const __m512i even = _mm512_mul_epu32(a, factor);
  const __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), factor);
  high = _mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 32), odd);
  low = _mm512_mask_blend_epi32(0xAAAA, even, _mm512_slli_epi64(odd, 32));
}

MESHFOLD_TARGET_AVX512 inline void philox(base::PhiloxKey key, __m512i (&words)[4]) {
  constexpr int kXorOfThree = 0x96;
#pragma GCC unroll 10
  for (int round = 0; round < 10; ++round) {
    __m512i high0, high1, low0, low1;
    multiply(words[0], 0xD2511F53u, high0, low0);
    multiply(words[2], 0xCD9E8D57u, high1, low1);
    const __m512i key0 = _mm512_set1_epi32(static_cast<int>(key.low)),
                  key1 = _mm512_set1_epi32(static_cast<int>(key.high));
    words[0] = _mm512_ternarylogic_epi32(high1, words[1], key0, kXorOfThree);
    words[2] = _mm512_ternarylogic_epi32(high0, words[3], key1, kXorOfThree);
    words[1] = low1;
    words[3] = low0;
    key.low += 0x9E3779B9u;
    key.high += 0xBB67AE85u;
  }
}

/// Third and fourth counter words of 16 calls in a row.
struct Places {
  __m512i row, group;
};

MESHFOLD_TARGET_AVX512 inline Places first_places(std::uint32_t row, std::uint32_t groups) {
  alignas(64) std::uint32_t rows[16], columns[16];
  std::uint32_t group = 0;
  for (int lane = 0; lane < 16; ++lane) {
    rows[lane] = row;
    columns[lane] = group;
    if (++group == groups) {
      group = 0;
      ++row;
    }
  }
  return {_mm512_load_si512(rows), _mm512_load_si512(columns)};
}

MESHFOLD_TARGET_AVX512 inline void advance(Places& places, std::uint32_t groups) {
  places.row = _mm512_add_epi32(places.row, _mm512_set1_epi32(static_cast<int>(16 / groups)));
  places.group = _mm512_add_epi32(places.group, _mm512_set1_epi32(static_cast<int>(16 % groups)));
  const __m512i width = _mm512_set1_epi32(static_cast<int>(groups));
  const __mmask16 beyond = _mm512_cmpge_epu32_mask(places.group, width);
  places.group = _mm512_mask_sub_epi32(places.group, beyond, places.group, width);
  places.row = _mm512_mask_add_epi32(places.row, beyond, places.row, _mm512_set1_epi32(1));
}

/// Multipliers of the first `count` of 16 calls whose words are given.
MESHFOLD_TARGET_AVX512 inline void store_multipliers(const __m512i (&words)[4], std::int64_t count, __m512i threshold,
                                                     __m256 scale, float* out) {
  const __m512i low01 = _mm512_unpacklo_epi32(words[0], words[1]), high01 = _mm512_unpackhi_epi32(words[0], words[1]);
  const __m512i low23 = _mm512_unpacklo_epi32(words[2], words[3]), high23 = _mm512_unpackhi_epi32(words[2], words[3]);
  // calls[c] holds the calls c, c + 4, c + 8 and c + 12, 16 bytes each.
  const __m512i calls[4] = {_mm512_unpacklo_epi64(low01, low23), _mm512_unpackhi_epi64(low01, low23),
                            _mm512_unpacklo_epi64(high01, high23), _mm512_unpackhi_epi64(high01, high23)};
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    const __mmask32 kept = _mm512_cmpge_epu16_mask(calls[c], threshold);
#pragma GCC unroll 4
    for (int quarter = 0; quarter < 4; ++quarter) {
      const int call = c + 4 * quarter;
      if (call < count) {
        _mm256_storeu_ps(out + 8 * call, _mm256_maskz_mov_ps(static_cast<__mmask8>(kept >> (8 * quarter)), scale));
      }
    }
  }
}

}  // namespace

MESHFOLD_TARGET_AVX512 void fill_multipliers_avx512(const DropoutDraws& draws, float* out) {
  const std::int64_t total = draws.count * draws.groups;
  const auto groups = static_cast<std::uint32_t>(draws.groups);
  const __m512i threshold = _mm512_set1_epi16(static_cast<short>(draws.threshold.threshold));
  const __m256 scale = _mm256_set1_ps(draws.threshold.scale);
  Places places = first_places(draws.first, groups);
  for (std::int64_t i = 0; i < total; i += 16) {
    __m512i words[4] = {_mm512_set1_epi32(static_cast<int>(draws.step)),
                        _mm512_set1_epi32(static_cast<int>(draws.philox_row)), places.row, places.group};
    philox(draws.key, words);
    store_multipliers(words, total - i, threshold, scale, out + 8 * i);
    advance(places, groups);
  }
}
#else
void fill_multipliers_avx512(const DropoutDraws& draws, float* out) { fill_multipliers_portable(draws, out); }
void fill_multipliers_avx2(const DropoutDraws& draws, float* out) { fill_multipliers_portable(draws, out); }
#endif

}  // namespace kernels

Dropout::Dropout(base::DrawPurpose purpose, const DropoutSite& site, const ForwardContext& context)
    : key_(base::make_philox_key(context.draws.seed, purpose, context.draws.pass, site.site)),
      step_(context.draws.step),
      first_head_(site.first_head) {
  if (!(site.probability >= 0.0 && site.probability < 1.0)) {
    throw std::invalid_argument("a dropout probability must be in [0, 1), not " + std::to_string(site.probability));
  }
  if (context.mode != Mode::kEvaluation) threshold_ = base::make_dropout_threshold(site.probability);
}

void Dropout::fill(std::uint32_t philox_row, std::uint32_t first, std::int64_t count, std::int64_t width,
                   float* out) const {
  const kernels::DropoutDraws draws{key_, step_, philox_row, first, count, padded_width(width) / 8, threshold_};
  if (base::has_avx512()) {
    kernels::fill_multipliers_avx512(draws, out);
  } else if (base::has_avx2()) {
    kernels::fill_multipliers_avx2(draws, out);
  } else {
    kernels::fill_multipliers_portable(draws, out);
  }
}

at::Tensor Dropout::multipliers(const at::Tensor& philox_rows, const at::Tensor& places, std::int64_t width) const {
  return aten::dropout_multipliers(key_, step_, threshold_, philox_rows, places, width);
}

at::Tensor RowDropout::multipliers(std::int64_t width, at::Device device) const {
  const auto words = [&](const std::vector<std::uint32_t>& values) {
    return at::tensor(std::vector<std::int64_t>(values.begin(), values.end()),
                      at::TensorOptions(at::kLong).device(device));
  };
  return dropout_.multipliers(words(philox_rows_), words(positions_), width);
}

RowDropout RowDropout::over_tokens(const DropoutSite& site, const PackedInput& input, const ForwardContext& context) {
  RowDropout result(Dropout(base::DrawPurpose::kHiddenDropout, site, context));
  if (!result.active()) return result;
  const TokenRows own = token_rows(input.num_tokens(), context);
  const std::int64_t end = own.first + own.count;
  result.philox_rows_.reserve(own.count);
  result.positions_.reserve(own.count);
  for (std::int64_t s = 0; s < input.num_inputs(); ++s) {
    const std::int64_t from = std::max<std::int64_t>(own.first, input.cu_seqlens[s]);
    const std::int64_t to = std::min<std::int64_t>(end, input.cu_seqlens[s + 1]);
    for (std::int64_t t = from; t < to; ++t) {
      result.philox_rows_.push_back(input.philox_rows[s]);
      result.positions_.push_back(static_cast<std::uint32_t>(t - input.cu_seqlens[s]));
    }
  }
  return result;
}

RowDropout RowDropout::over_inputs(const DropoutSite& site, const PackedInput& input, const ForwardContext& context) {
  RowDropout result(Dropout(base::DrawPurpose::kHeadDropout, site, context));
  result.philox_rows_ = input.philox_rows;
  result.positions_.assign(input.philox_rows.size(), 0);
  return result;
}

RowDropout RowDropout::over_slots(const DropoutSite& site, std::int64_t first, std::int64_t count,
                                  const ForwardContext& context) {
  RowDropout result(Dropout(base::DrawPurpose::kHiddenDropout, site, context));
  for (std::int64_t row = first; row < first + count; ++row) {
    result.philox_rows_.push_back(kParameterPhiloxRow);
    result.positions_.push_back(static_cast<std::uint32_t>(row));
  }
  return result;
}

at::Tensor multiply_rows(const at::Tensor& x, const RowDropout& dropout) {
  check_operands(x.scalar_type(), "dropout");
  const std::int64_t width = x.size(1), padded = Dropout::padded_width(width);
  if (back_end_of(x) == BackEnd::kAten) return x * dropout.multipliers(width, x.device()).to(x.scalar_type());
  const at::Tensor multipliers = at::empty({x.size(0), padded}, x.options().dtype(at::kFloat));
  float* out = multipliers.mutable_data_ptr<float>();
  for (std::int64_t row = 0; row < x.size(0); ++row) dropout.fill_row(row, width, out + row * padded);
  return x * multipliers.narrow(1, 0, width).to(x.scalar_type());
}

}  // namespace meshfold::models::ops
