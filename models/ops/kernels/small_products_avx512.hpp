#pragma once

#include <cstdint>

#include "models/ops/kernels/matmul.hpp"

/// multiply_small() and multiply_add_small() where base::has_avx512(): sums in registers, one fused multiply-add an
/// element and step, k in order; so bits depend on the operands alone.
namespace meshfold::models::ops::kernels {

/// C = alpha op(A) op(B), or added to C; as in matmul.hpp.
struct SmallProduct {
  Transpose transpose_a, transpose_b;
  std::int64_t m, n, k;
  float alpha;
  const float* a;
  std::int64_t lda;
  const float* b;
  std::int64_t ldb;
  float* c;
  std::int64_t ldc;
  bool add;
};

void multiply_avx512(const SmallProduct& product);

}  // namespace meshfold::models::ops::kernels
