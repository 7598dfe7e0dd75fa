#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "models/ops/kernels/vector_math.hpp"

#if defined(__GNUC__) && !defined(__clang__) && !(defined(__NO_MATH_ERRNO__) && defined(__NO_TRAPPING_MATH__))
#error "needs -fno-trapping-math -fno-math-errno, else its loops are not vectorised: belongs into meshfold_vector_kernels"
#endif

/// The softmax of one row of scores and its backward, for the inner loops of attention kernels. Rows hold `length`
/// scores and are padded to `stride`, a multiple of kLanes.
namespace meshfold::models::ops {

/// A score whose probability is zero; with it in the padding, loops run over whole vectors.
inline constexpr float kNoScore = std::numeric_limits<float>::lowest();

/// Scores become probabilities, the padding zero. `log_sum_exp` may be null: not wanted.
[[gnu::always_inline]] inline void softmax_row(float* row, std::int64_t length, std::int64_t stride,
                                               float* log_sum_exp) {
  for (std::int64_t k = length; k < stride; ++k) row[k] = kNoScore;
  const float largest = largest_of(row, stride);
  for (std::int64_t k = 0; k < stride; ++k) row[k] = exp_approximate(row[k] - largest);
  const float sum = sum_of(row, stride), inverse = 1.0F / sum;
  for (std::int64_t k = 0; k < stride; ++k) row[k] *= inverse;
  if (log_sum_exp) *log_sum_exp = largest + std::log(sum);
}

/// The probabilities again, from the log-sum-exp of forward.
[[gnu::always_inline]] inline void probability_row(float* row, std::int64_t length, std::int64_t stride,
                                                   float log_sum_exp) {
  for (std::int64_t k = length; k < stride; ++k) row[k] = kNoScore;
  for (std::int64_t k = 0; k < stride; ++k) row[k] = exp_approximate(row[k] - log_sum_exp);
}

/// gradient = probabilities * (gradient - <gradient, probabilities> / sum of probabilities). The sum is 1 but for the
/// rounding of the log-sum-exp; without it rows would not add up to zero, and the key bias, whose gradient is zero in
/// dense attention, would get that error.
[[gnu::always_inline]] inline void softmax_gradient_row(const float* probabilities, std::int64_t stride,
                                                        float* gradient) {
  const float projection = sum_of_products(probabilities, gradient, stride) / sum_of(probabilities, stride);
  for (std::int64_t k = 0; k < stride; ++k) gradient[k] = probabilities[k] * (gradient[k] - projection);
}

}  // namespace meshfold::models::ops
