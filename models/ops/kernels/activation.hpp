#pragma once

#include <ATen/core/Tensor.h>

#include "models/ops/problems/activation.hpp"

/// Bias and activation in one pass over a product, and their backward with the bias gradient in one pass.
namespace meshfold::models::ops {

/// `sums` [rows, width], bias fp32 [width] or undefined: none; results in `type`. Where that is the type of the sums, z
/// overwrites them.
Activations add_bias_and_activate(at::Tensor sums, const at::Tensor& bias, Activation activation, at::ScalarType type);

/// `z` as add_bias_and_activate left it; not read for kNone. dy [rows, width] in the type of z.
ActivationGradients activation_backward(const at::Tensor& dy, const at::Tensor& z, Activation activation);

/// fp32 [width], rows summed in a fixed order; rows [n, width] fp32 or bf16.
at::Tensor column_sums(const at::Tensor& rows);

/// gradient *= slope(z) in place; returns activation(z). Both [rows, width] contiguous and of one type.
at::Tensor multiply_by_slope(at::Tensor gradient, const at::Tensor& z, Activation activation);

}  // namespace meshfold::models::ops
