#include "models/ops/kernels/matmul.hpp"

#include <ATen/ATen.h>

#include <optional>

#include "base/instruction_set.hpp"
#include "models/context/back_end.hpp"
#include "models/context/operand_types.hpp"
#include "models/ops/kernels/activation.hpp"
#include "models/ops/kernels/bf16_products.hpp"
#include "models/ops/kernels/small_products_avx512.hpp"

// The Fortran interface of the BLAS inside LibTorch; no public LibTorch call multiplies raw buffers, and at::bmm costs
// 5 us a call.
extern "C" void sgemm_(const char* transa, const char* transb, const int* m, const int* n, const int* k,
                       const float* alpha, const float* a, const int* lda, const float* b, const int* ldb,
                       const float* beta, float* c, const int* ldc);

namespace meshfold::models::ops {
namespace {

bool is_host_bf16(const at::Tensor& operand) {
  return operand.scalar_type() == at::kBFloat16 && back_end_of(operand) == BackEnd::kHost;
}

/// The kernels that multiply `operand` by another bf16 matrix and sum over `summed` elements; LibTorch if there are
/// none.
std::optional<kernels::ProductKernels> kernels_for(const at::Tensor& operand, std::int64_t summed) {
  if (!is_host_bf16(operand)) return std::nullopt;
  if (base::has_amx_bf16()) return kernels::tile_products();
  if (base::has_avx512_bf16() && summed % 2 == 0) return kernels::dot_products();
  return std::nullopt;
}

/// a x b in result_type, with fp32 sums.
at::Tensor multiply(const at::Tensor& a, const at::Tensor& b, at::ScalarType result_type) {
  if (is_host_bf16(a)) return at::mm(a.to(at::kFloat), b.to(at::kFloat)).to(result_type);
  return at::mm(a, b).to(result_type);
}

/// C = alpha op(A) op(B) + beta C.
void small_product(Transpose transpose_a, Transpose transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
                   float alpha, const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float beta,
                   float* c, std::int64_t ldc) {
  if (base::has_avx512()) {
    return kernels::multiply_avx512({transpose_a, transpose_b, m, n, k, alpha, a, lda, b, ldb, c, ldc, beta != 0.0F});
  }
  const char op_a = transpose_a == Transpose::kYes ? 'T' : 'N', op_b = transpose_b == Transpose::kYes ? 'T' : 'N';
  const int rows = static_cast<int>(m), columns = static_cast<int>(n), inner = static_cast<int>(k);
  const int stride_a = static_cast<int>(lda), stride_b = static_cast<int>(ldb), stride_c = static_cast<int>(ldc);
  // Column-major BLAS sees every matrix transposed: C^T = op(B)^T op(A)^T.
  sgemm_(&op_b, &op_a, &columns, &rows, &inner, &alpha, b, &stride_b, a, &stride_a, &beta, c, &stride_c);
}

}  // namespace

std::string bf16_product_path() {
  if (base::has_amx_bf16()) return "bf16 products by AMX";
  return base::has_avx512_bf16() ? "bf16 products by AVX512-BF16" : "bf16 products as fp32";
}

std::string kernel_paths() {
  const char* const elementwise = base::has_avx512() ? "AVX-512" : base::has_avx2() ? "AVX2" : "portable";
  return std::string("elementwise ") + elementwise + ", " + bf16_product_path();
}

LinearOutput linear_forward(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                            Activation activation, Keep keep) {
  check_operands(x.scalar_type(), "linear");
  const bool keeps = keep == Keep::kPreActivationToo && activation != Activation::kNone;
  LinearOutput result;
  if (const auto products = kernels_for(x, x.size(1))) {
    result.y = at::empty({x.size(0), weight.size(0)}, x.options());
    if (keeps) result.pre_activation = at::empty_like(result.y);
    products->linear_forward(x, weight, bias, activation, result.pre_activation, result.y);
    return result;
  }
  const at::ScalarType type = x.scalar_type();
  const at::Tensor sums = multiply(x, weight.t(), at::kFloat);
  const Activations rows = add_bias_and_activate(sums, bias, activation, type);
  result.y = rows.y;
  if (keeps) result.pre_activation = rows.z;
  return result;
}

at::Tensor product_input_gradient(const at::Tensor& dy, const at::Tensor& weight, at::ScalarType result_type) {
  const auto products = kernels_for(dy, dy.size(1));
  if (!products) return multiply(dy, weight, result_type);
  const at::Tensor dx = at::empty({dy.size(0), weight.size(1)}, dy.options().dtype(result_type));
  products->product_input_gradient(dy, weight, dx);
  return dx;
}

ActivatedGradients activated_input_gradient(const at::Tensor& dy, const at::Tensor& weight, const at::Tensor& z,
                                            Activation activation) {
  const auto products = kernels_for(dy, dy.size(1));
  if (!products) {
    const at::Tensor dz = multiply(dy, weight, z.scalar_type());
    return {dz, multiply_by_slope(dz, z, activation)};
  }
  const ActivatedGradients result{at::empty_like(z), at::empty_like(z)};
  products->activated_input_gradient(dy, weight, z, activation, result.dz, result.y);
  return result;
}

void add_weight_gradient(at::Tensor sum, Before before, const at::Tensor& dy, const at::Tensor& x) {
  const auto products = kernels_for(dy, /*summed=*/0);  // any number of rows
  if (products && x.scalar_type() == at::kBFloat16) {
    products->weight_gradient(dy, x, before == Before::kSum ? kernels::Beta::kOne : kernels::Beta::kZero, sum);
    return;
  }
  // In fp32: a bf16 product would round each pack's gradient before the sum.
  at::addmm_out(sum, sum, dy.to(at::kFloat).t(), x.to(at::kFloat), /*beta=*/before == Before::kSum ? 1 : 0,
                /*alpha=*/1);
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
