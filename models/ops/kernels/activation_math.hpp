#pragma once

#include <type_traits>

#include "models/ops/kernels/vector_math.hpp"
#include "models/ops/problems/activation.hpp"

#if defined(__GNUC__) && !defined(__clang__) && !(defined(__NO_MATH_ERRNO__) && defined(__NO_TRAPPING_MATH__))
#error "needs -fno-trapping-math -fno-math-errno, else its loops are not vectorised: belongs into meshfold_vector_kernels"
#endif

/// Activations and their slopes for the inner loops of kernels.
namespace meshfold::models::ops {

inline constexpr float kSqrtTwoOverPi = 0.79788456080286536F, kInverseSqrtTwoPi = 0.39894228040143268F,
                       kGeluCubic = 0.044715F;

/// In the precision that rows of T have: for bf16, GELU takes the cheaper normal_tail().
template <Activation kActivation, typename T>
[[gnu::always_inline]] inline float value_of(float z) {
  if constexpr (kActivation == Activation::kGelu && std::is_same_v<T, at::BFloat16>) {
    const float distance = z < 0.0F ? -z : z;
    return (z < 0.0F ? 0.0F : z) - distance * normal_tail(distance).probability;
  }
  if constexpr (kActivation == Activation::kGelu) return z * normal_cdf(z, exp_approximate(-0.5F * z * z));
  if constexpr (kActivation == Activation::kGeluTanh) {
    return 0.5F * z * (1.0F + tanh_approximate(kSqrtTwoOverPi * (z + kGeluCubic * z * z * z)));
  }
  if constexpr (kActivation == Activation::kTanh) return tanh_approximate(z);
  if constexpr (kActivation == Activation::kRelu) return z > 0.0F ? z : 0.0F;
  return z;
}

template <Activation kActivation, typename T>
[[gnu::always_inline]] inline float slope_of(float z) {
  if constexpr (kActivation == Activation::kGelu && std::is_same_v<T, at::BFloat16>) {
    const float below = normal_tail(z < 0.0F ? -z : z).slope;
    return z < 0.0F ? below : 1.0F - below;
  }
  if constexpr (kActivation == Activation::kGelu) {
    const float gaussian = exp_approximate(-0.5F * z * z);
    return normal_cdf(z, gaussian) + z * gaussian * kInverseSqrtTwoPi;
  }
  if constexpr (kActivation == Activation::kGeluTanh) {
    const float t = tanh_approximate(kSqrtTwoOverPi * (z + kGeluCubic * z * z * z));
    return 0.5F * (1.0F + t) + 0.5F * z * (1.0F - t * t) * kSqrtTwoOverPi * (1.0F + 3.0F * kGeluCubic * z * z);
  }
  if constexpr (kActivation == Activation::kTanh) {
    const float t = tanh_approximate(z);
    return 1.0F - t * t;
  }
  if constexpr (kActivation == Activation::kRelu) return z > 0.0F ? 1.0F : 0.0F;
  return 1.0F;
}

/// use(std::integral_constant<Activation, activation>).
template <typename Use>
void with_activation(Activation activation, const Use& use) {
  switch (activation) {
    case Activation::kNone:
      return use(std::integral_constant<Activation, Activation::kNone>());
    case Activation::kGelu:
      return use(std::integral_constant<Activation, Activation::kGelu>());
    case Activation::kGeluTanh:
      return use(std::integral_constant<Activation, Activation::kGeluTanh>());
    case Activation::kTanh:
      return use(std::integral_constant<Activation, Activation::kTanh>());
    case Activation::kRelu:
      return use(std::integral_constant<Activation, Activation::kRelu>());
  }
}

}  // namespace meshfold::models::ops
