#pragma once

#include "models/ops/problems/activation.hpp"
#include "models/ops/problems/norm.hpp"

/// The kernel pairs of activation.hpp and layer_norm.hpp in LibTorch operations: the same functions on any device.
namespace meshfold::models::ops::aten {

Activations add_bias_and_activate(at::Tensor sums, const at::Tensor& bias, Activation activation, at::ScalarType type);
at::Tensor multiply_by_slope(at::Tensor gradient, const at::Tensor& z, Activation activation);
ActivationGradients activation_backward(const at::Tensor& dy, const at::Tensor& z, Activation activation);

NormResult norm_forward(const NormInput& input);
NormGradients norm_backward(const at::Tensor& dy, const NormResult& saved, const at::Tensor& gamma,
                            const RowDropout* before, const RowDropout* after, at::ScalarType x_type);

}  // namespace meshfold::models::ops::aten
