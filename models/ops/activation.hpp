#pragma once

#include <ATen/core/Tensor.h>

#include "models/ops/ops.hpp"

/// Bias and activation in one pass over a product, and their backward with the bias gradient in one pass.
namespace meshfold::models::ops {

/// z += bias in place, then returns activation(z); for kNone z itself. z fp32 or bf16 [rows, width], bias fp32 [width].
at::Tensor add_bias_and_activate(at::Tensor z, const at::Tensor& bias, Activation activation);

struct ActivationGradients {
  at::Tensor dz;    ///< as z
  at::Tensor bias;  ///< fp32 [width], rows summed in a fixed order
};

/// `z` as add_bias_and_activate left it; not read for kNone. dy [rows, width] in the type of z.
ActivationGradients activation_backward(const at::Tensor& dy, const at::Tensor& z, Activation activation);

}  // namespace meshfold::models::ops
