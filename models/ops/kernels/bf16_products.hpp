#pragma once

#include <ATen/core/Tensor.h>

#include "models/ops/problems/activation.hpp"

namespace meshfold::models::ops::kernels {

enum class Beta { kZero, kOne };

/// Matrix products of bf16 operands with fp32 sums, by one kind of instruction. Bits depend neither on the number of
/// threads nor on the other rows (docs/numerics.md). Weights are bf16 [out, in]; biases fp32 [out], undefined where
/// there is none.
struct ProductKernels {
  /// z = x W^T + bias, y = activation(z). x [rows, in]; y [rows, out] is bf16; z is the same tensor for kNone, and is
  /// written for the others only if defined.
  void (*linear_forward)(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, Activation activation,
                         at::Tensor z, at::Tensor y);
  /// dx = dy W, bf16 or fp32. dy [rows, out].
  void (*product_input_gradient)(const at::Tensor& dy, const at::Tensor& weight, at::Tensor dx);
  /// dz = dy W * slope(z) and y = activation(z); z, dz and y bf16 [rows, in].
  void (*activated_input_gradient)(const at::Tensor& dy, const at::Tensor& weight, const at::Tensor& z,
                                   Activation activation, at::Tensor dz, at::Tensor y);
  /// sum = beta sum + dy^T x; fp32 [out, in]. Any number of rows.
  void (*weight_gradient)(const at::Tensor& dy, const at::Tensor& x, Beta beta, at::Tensor sum);
};

/// By dot products of bf16 pairs, only where base::has_avx512_bf16(); null on other CPUs than x86-64. The summed dim is
/// even but in weight_gradient. Operands are packed on the fly (bf16_panels.hpp), 1 to 3 % of a product of 800 rows.
ProductKernels dot_products();

/// By AMX tiles (amx_operations.hpp), only where base::has_amx_bf16(); null on other CPUs than x86-64. The summed dim
/// may be odd. Sums are fp32, one accumulator per element over the whole summed dim (weight gradients: over runs of
/// 2048 rows), in an order that depends on the column alone.
ProductKernels tile_products();

}  // namespace meshfold::models::ops::kernels
