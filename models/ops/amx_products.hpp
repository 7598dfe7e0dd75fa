#pragma once

#include <ATen/core/Tensor.h>

#include "models/ops/bf16_products.hpp"

/// The products of bf16_products.hpp by AMX tiles, only where has_amx_bf16(); the summed dim may be odd. Sums are fp32,
/// one accumulator an element over the whole summed dim (weight gradients: over runs of 2048 rows), in an order that
/// depends on the column alone, so bits depend neither on the number of threads nor on the other rows.
namespace meshfold::models::ops::kernels::amx {

void linear_forward(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, Activation activation,
                    at::Tensor z, at::Tensor y);
void product_input_gradient(const at::Tensor& dy, const at::Tensor& weight, at::Tensor dx);
void activated_input_gradient(const at::Tensor& dy, const at::Tensor& weight, const at::Tensor& z,
                              Activation activation, at::Tensor dz, at::Tensor y);
void weight_gradient(const at::Tensor& dy, const at::Tensor& x, Beta beta, at::Tensor sum);

}  // namespace meshfold::models::ops::kernels::amx
