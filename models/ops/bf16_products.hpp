#pragma once

#include <ATen/core/Tensor.h>

#include "models/ops/ops.hpp"

/// Matrix products of bf16 operands by dot-product instructions, only where has_avx512_bf16(). Sums are fp32, one
/// accumulator an element over the whole summed dim, so bits depend neither on the number of threads nor on the other
/// rows. Operands are packed on the fly (bf16_panels.hpp), 1 to 3 % of a product of 800 rows.
namespace meshfold::models::ops::kernels {

/// z = x W^T + bias, y = activation(z). x [rows, in], weight [out, in] with `in` even, bias fp32 [out]. y [rows, out]
/// is bf16; z is the same tensor for kNone, and is written for the others only if defined.
void linear_forward(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, Activation activation,
                    at::Tensor z, at::Tensor y);
/// dx = dy W, bf16 or fp32. dy [rows, out] with `out` even.
void product_input_gradient(const at::Tensor& dy, const at::Tensor& weight, at::Tensor dx);
/// dz = dy W * slope(z) and y = activation(z); z, dz and y bf16 [rows, in].
void activated_input_gradient(const at::Tensor& dy, const at::Tensor& weight, const at::Tensor& z,
                              Activation activation, at::Tensor dz, at::Tensor y);

enum class Beta { kZero, kOne };

/// sum = beta sum + dy^T x; fp32 [out, in]. Any number of rows.
void weight_gradient(const at::Tensor& dy, const at::Tensor& x, Beta beta, at::Tensor sum);

}  // namespace meshfold::models::ops::kernels
