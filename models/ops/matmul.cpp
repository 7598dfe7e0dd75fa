#include "models/ops/matmul.hpp"

#include <ATen/ATen.h>

#include "models/ops/instruction_set.hpp"

// The Fortran interface of the BLAS inside LibTorch; no public LibTorch call multiplies raw buffers, and at::bmm costs
// 5 us a call.
extern "C" void sgemm_(const char* transa, const char* transb, const int* m, const int* n, const int* k,
                       const float* alpha, const float* a, const int* lda, const float* b, const int* ldb,
                       const float* beta, float* c, const int* ldc);

namespace meshfold::models::ops {
namespace {

bool use_native_bf16() { return has_amx_bf16(); }

/// a x b in result_type, with fp32 sums.
at::Tensor multiply(const at::Tensor& a, const at::Tensor& b, at::ScalarType result_type) {
  if (a.scalar_type() == at::kBFloat16 && a.is_cpu() && !use_native_bf16()) {
    return at::mm(a.to(at::kFloat), b.to(at::kFloat)).to(result_type);
  }
  return at::mm(a, b).to(result_type);
}

/// C = alpha op(A) op(B) + beta C.
void small_product(Transpose transpose_a, Transpose transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
                   float alpha, const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float beta,
                   float* c, std::int64_t ldc) {
  const char op_a = transpose_a == Transpose::kYes ? 'T' : 'N', op_b = transpose_b == Transpose::kYes ? 'T' : 'N';
  const int rows = static_cast<int>(m), columns = static_cast<int>(n), inner = static_cast<int>(k);
  const int stride_a = static_cast<int>(lda), stride_b = static_cast<int>(ldb), stride_c = static_cast<int>(ldc);
  // Column-major BLAS sees every matrix transposed: C^T = op(B)^T op(A)^T.
  sgemm_(&op_b, &op_a, &columns, &rows, &inner, &alpha, b, &stride_b, a, &stride_a, &beta, c, &stride_c);
}

}  // namespace

std::string bf16_product_path() { return use_native_bf16() ? "bf16 products by AMX" : "bf16 products as fp32"; }

at::Tensor product(const at::Tensor& x, const at::Tensor& weight, at::ScalarType result_type) {
  return multiply(x, weight.t(), result_type);
}

at::Tensor product_input_gradient(const at::Tensor& dy, const at::Tensor& weight, at::ScalarType result_type) {
  return multiply(dy, weight, result_type);
}

void add_weight_gradient(at::Tensor sum, const at::Tensor& dy, const at::Tensor& x) {
  // Always in fp32: a bf16 product would round each pack's gradient before the sum.
  sum.addmm_(dy.to(at::kFloat).t(), x.to(at::kFloat));
}

void multiply_small(Transpose transpose_a, Transpose transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
                    float alpha, const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float* c,
                    std::int64_t ldc) {
  small_product(transpose_a, transpose_b, m, n, k, alpha, a, lda, b, ldb, 0.0F, c, ldc);
}

void multiply_add_small(Transpose transpose_a, Transpose transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
                        float alpha, const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float* c,
                        std::int64_t ldc) {
  small_product(transpose_a, transpose_b, m, n, k, alpha, a, lda, b, ldb, 1.0F, c, ldc);
}

}  // namespace meshfold::models::ops
