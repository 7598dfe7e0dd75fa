#pragma once

#include <ATen/core/Tensor.h>

#include "models/ops/ops.hpp"

/// Bias and activation in one pass over a product, and their backward with the bias gradient in one pass.
namespace meshfold::models::ops {

struct Activations {
  at::Tensor z;  ///< sums + bias, rounded once
  at::Tensor y;  ///< activation(z); for kNone z itself
};
/// `sums` fp32 or bf16 [rows, width], bias fp32 [width]; results in `type`: that of the sums, which z then overwrites,
/// or bf16.
Activations add_bias_and_activate(at::Tensor sums, const at::Tensor& bias, Activation activation, at::ScalarType type);

struct ActivationGradients {
  at::Tensor dz;    ///< as z
  at::Tensor bias;  ///< fp32 [width], rows summed in a fixed order
};

/// `z` as add_bias_and_activate left it; not read for kNone. dy [rows, width] in the type of z.
ActivationGradients activation_backward(const at::Tensor& dy, const at::Tensor& z, Activation activation);

/// fp32 [width], rows summed in a fixed order; rows [n, width] fp32 or bf16.
at::Tensor column_sums(const at::Tensor& rows);

/// gradient *= slope(z) in place; returns activation(z). Both [rows, width] contiguous and of one type.
at::Tensor multiply_by_slope(at::Tensor gradient, const at::Tensor& z, Activation activation);

}  // namespace meshfold::models::ops
