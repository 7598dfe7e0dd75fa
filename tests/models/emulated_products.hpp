#pragma once

#include <ATen/core/Tensor.h>

#include "models/ops/bf16_products.hpp"

/// The products by AMX tiles as they are, on emulated tiles.
namespace meshfold::models::ops::kernels::emulated {

void linear_forward(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, Activation activation,
                    at::Tensor z, at::Tensor y);
void product_input_gradient(const at::Tensor& dy, const at::Tensor& weight, at::Tensor dx);
void activated_input_gradient(const at::Tensor& dy, const at::Tensor& weight, const at::Tensor& z,
                              Activation activation, at::Tensor dz, at::Tensor y);
void weight_gradient(const at::Tensor& dy, const at::Tensor& x, Beta beta, at::Tensor sum);

}  // namespace meshfold::models::ops::kernels::emulated
