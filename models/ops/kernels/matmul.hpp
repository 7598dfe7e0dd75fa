#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "models/ops/problems/activation.hpp"

/// Matrix products, one interface over back ends that are chosen at run time. bf16 operands are summed in fp32
/// everywhere:
///  - with AMX tiles: tile_products() of bf16_products.hpp;
///  - with fast AVX512-BF16 dot products: dot_products() of bf16_products.hpp;
///  - else: operands widened to fp32, one sgemm, the result rounded to bf16. Measured on AVX2, LibTorch's bf16 products
///    run at 5 GFLOP/s a thread and sgemm at 40; widening costs a few percent of the product.
/// docs/benchmarks.md has the figures.
namespace meshfold::models::ops {

/// "bf16 products by AMX", "... by AVX512-BF16" or "... as fp32".
std::string bf16_product_path();
/// "elementwise AVX-512, bf16 products by AVX512-BF16", for the log. Ranks of one job should print the same.
std::string kernel_paths();

struct LinearOutput {
  at::Tensor pre_activation;  ///< x W^T + bias; undefined for kNone, and unless it was asked for
  at::Tensor y;
};
enum class Keep { kOutput, kPreActivationToo };
/// y = activation(x W^T + bias), in the type of x. x [rows, in], weight [out, in], equal types, fp32 or bf16; bias fp32
/// [out], or undefined: none.
LinearOutput linear_forward(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                            Activation activation, Keep keep);
/// dy W: the gradient of x. dy [rows, out]; result [rows, in] in `result_type`.
at::Tensor product_input_gradient(const at::Tensor& dy, const at::Tensor& weight, at::ScalarType result_type);

struct ActivatedGradients {
  at::Tensor dz;  ///< dy W times the slope at z
  at::Tensor y;   ///< activation(z)
};
/// For a layer whose input was activation(z): the gradient of z, and that input again. z [rows, in]; results as z.
ActivatedGradients activated_input_gradient(const at::Tensor& dy, const at::Tensor& weight, const at::Tensor& z,
                                            Activation activation);

/// What a sum held before: nothing of worth, or earlier gradients.
enum class Before { kNothing, kSum };
/// sum = dy^T x, or sum += dy^T x: the gradient of W. sum fp32 [out, in]; dy and x contiguous, fp32 or bf16.
void add_weight_gradient(at::Tensor sum, Before before, const at::Tensor& dy, const at::Tensor& x);

enum class Transpose { kNo, kYes };

/// Row-major C[m, n] = alpha op(A) op(B) on small matrices in the caller's thread, by our own kernel with AVX-512, else
/// by LibTorch's sgemm; ld*: elements from row to row.
void multiply_small(Transpose transpose_a, Transpose transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
                    float alpha, const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float* c,
                    std::int64_t ldc);
/// The same product added to C.
void multiply_add_small(Transpose transpose_a, Transpose transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
                        float alpha, const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float* c,
                        std::int64_t ldc);

}  // namespace meshfold::models::ops
