#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

/// Functions for the inner loops of kernels, written so that compilers vectorise them and every instruction set gives
/// the same bits.
namespace meshfold::models::ops {

/// Rows of scratch are padded to whole vectors of this many floats; padding holds zeros.
inline constexpr std::int64_t kLanes = 8;

/// e^x, relative error below 2e-7; 0 below -87.3, clamped at e^88.
[[gnu::always_inline]] inline float exp_approximate(float x) {
  const float clamped = x > 88.0F ? 88.0F : (x < -87.3F ? -87.3F : x);
  constexpr float kRoundToInteger = 12582912.0F;  // 1.5 * 2^23: adding it leaves an integer in the mantissa
  const float n = (clamped * 1.44269504088896341F + kRoundToInteger) - kRoundToInteger;
  const float r = (clamped - n * 0.693359375F) - n * -2.12194440e-4F;  // ln 2 in two parts (Cody and Waite)
  // Cephes expf: minimax polynomial of (e^r - 1 - r) / r^2 on [-ln 2 / 2, ln 2 / 2].
  float p = 1.9875691500e-4F;
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  const float mantissa = p * r * r + r + 1.0F;
  const float power = std::bit_cast<float>((static_cast<std::int32_t>(n) + 127) << 23);
  return x < -87.3F ? 0.0F : mantissa * power;
}

[[gnu::always_inline]] inline float tanh_approximate(float x) {
  return 1.0F - 2.0F / (exp_approximate(2.0F * x) + 1.0F);
}

/// Phi(x), the normal distribution function, by Abramowitz and Stegun 7.1.26 (absolute error 1.5e-7 in erf). `gaussian`
/// is e^(-x^2/2).
[[gnu::always_inline]] inline float normal_cdf(float x, float gaussian) {
  const float z = (x < 0.0F ? -x : x) * 0.70710678118654752F;
  const float t = 1.0F / (1.0F + 0.3275911F * z);
  float p = 1.061405429F;
  p = p * t - 1.453152027F;
  p = p * t + 1.421413741F;
  p = p * t - 0.284496736F;
  p = p * t + 0.254829592F;
  const float half_tail = 0.5F * (p * t * gaussian);
  return x < 0.0F ? half_tail : 1.0F - half_tail;
}

/// The normal distribution beyond a >= 0, without a division. From a = 6 on both keep their values there.
struct NormalTail {
  float probability;  ///< Q(a) = 1 - Phi(a), relative error below 1e-5
  float slope;        ///< Q(a) - a phi(a), the derivative of a Q(a), absolute error below 5e-6
};

/// Polynomials in a on [0, 6] by reweighted least squares, for log2 Q(a) and 1 - a phi(a) / Q(a), which are smooth, and
/// in r on [-1/2, 1/2] for 2^r.
[[gnu::always_inline]] inline NormalTail normal_tail(float a) {
  a = a < 6.0F ? a : 6.0F;
  float exponent = -1.8348464e-6F;
  exponent = exponent * a + 6.1598977e-5F;
  exponent = exponent * a - 9.3053002e-4F;
  exponent = exponent * a + 8.5079102e-3F;
  exponent = exponent * a - 5.3960104e-2F;
  exponent = exponent * a - 4.5846435e-1F;
  exponent = exponent * a - 1.15125108F;
  exponent = exponent * a - 0.99999529F;
  constexpr float kRoundToInteger = 12582912.0F;  // 1.5 * 2^23, as in exp_approximate
  const float shifted = exponent + kRoundToInteger;
  const float r = exponent - (shifted - kRoundToInteger);
  float mantissa = 9.5699830e-3F;
  mantissa = mantissa * r + 5.5917721e-2F;
  mantissa = mantissa * r + 2.4024738e-1F;
  mantissa = mantissa * r + 6.9312185e-1F;
  mantissa = mantissa * r + 9.9999928e-1F;
  const float probability =
      std::bit_cast<float>(std::bit_cast<std::uint32_t>(mantissa) + (std::bit_cast<std::uint32_t>(shifted) << 23));
  float ratio = 1.4772461e-4F;
  ratio = ratio * a - 2.7306750e-3F;
  ratio = ratio * a + 2.2548031e-2F;
  ratio = ratio * a - 1.11198246e-1F;
  ratio = ratio * a - 6.3595462e-1F;
  ratio = ratio * a - 7.9794180e-1F;
  ratio = ratio * a + 9.9999648e-1F;
  return {probability, probability * ratio};
}

[[gnu::always_inline]] inline float largest_of(const float* a, std::int64_t padded) {
  typedef float Vector __attribute__((vector_size(kLanes * sizeof(float))));
  Vector largest;
  std::memcpy(&largest, a, sizeof largest);
  for (std::int64_t i = kLanes; i < padded; i += kLanes) {
    Vector x;
    std::memcpy(&x, a + i, sizeof x);
    largest = x > largest ? x : largest;
  }
  float result = largest[0];
  for (int lane = 1; lane < kLanes; ++lane) result = largest[lane] > result ? largest[lane] : result;
  return result;
}

/// Sum of a padded row in a fixed order: eight lanes, then a tree.
[[gnu::always_inline]] inline float sum_of_products(const float* a, const float* b, std::int64_t padded) {
  typedef float Vector __attribute__((vector_size(kLanes * sizeof(float))));
  Vector sum = {};
  for (std::int64_t i = 0; i < padded; i += kLanes) {
    Vector x, y;
    std::memcpy(&x, a + i, sizeof x);
    std::memcpy(&y, b + i, sizeof y);
    sum += x * y;
  }
  return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

[[gnu::always_inline]] inline float sum_of(const float* a, std::int64_t padded) {
  typedef float Vector __attribute__((vector_size(kLanes * sizeof(float))));
  Vector sum = {};
  for (std::int64_t i = 0; i < padded; i += kLanes) {
    Vector x;
    std::memcpy(&x, a + i, sizeof x);
    sum += x;
  }
  return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

}  // namespace meshfold::models::ops
