#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

/// Matrix products, one interface over back ends that are chosen at run time. bf16 operands are summed in fp32
/// everywhere:
///  - with AMX: LibTorch's own bf16 products;
///  - else: operands widened to fp32, one sgemm, the result rounded to bf16. Measured on AVX2, LibTorch's bf16 products
///  run at 5 GFLOP/s
///    a thread and sgemm at 40; widening costs a few percent of the product. AVX512-BF16 dot products are slower than
///    fp32 too.
namespace meshfold::models::ops {

/// "bf16 products by AMX" or "bf16 products as fp32".
std::string bf16_product_path();

/// x W^T: x [rows, in], weight [out, in], equal types, fp32 or bf16; result [rows, out] in `result_type`.
at::Tensor product(const at::Tensor& x, const at::Tensor& weight, at::ScalarType result_type);
/// dy W: the input gradient of product(). dy [rows, out]; result [rows, in] in `result_type`.
at::Tensor product_input_gradient(const at::Tensor& dy, const at::Tensor& weight, at::ScalarType result_type);
/// sum += dy^T x in place: the weight gradient of product(). sum fp32 [out, in].
void add_weight_gradient(at::Tensor sum, const at::Tensor& dy, const at::Tensor& x);

enum class Transpose { kNo, kYes };

/// Row-major C[m, n] = alpha op(A) op(B) on one small matrix, by LibTorch's sgemm; ld*: elements from row to row.
void multiply_small(Transpose transpose_a, Transpose transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
                    float alpha, const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float* c,
                    std::int64_t ldc);
/// The same product added to C.
void multiply_add_small(Transpose transpose_a, Transpose transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
                        float alpha, const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float* c,
                        std::int64_t ldc);

}  // namespace meshfold::models::ops
