#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "models/ops/kernels/strided_rows.hpp"

/// Small products of bf16 rows in the caller's thread, only where base::has_avx512_bf16(): operands are taken as they
/// are and sums are fp32, so against a product of the widened operands only the order of the sum differs.
namespace meshfold::models::ops::kernels {

using Bf16Rows = StridedRows<const at::BFloat16>;

/// B^T in panels (bf16_panels.hpp), for many products with it; b [n, k], k even. `panels` is aligned to a cache line
/// and has packed_elements(n, k).
void pack_bf16_rows(std::int64_t n, std::int64_t k, Bf16Rows b, std::uint32_t* panels);
std::int64_t packed_elements(std::int64_t n, std::int64_t k);
/// As multiply_bf16_rows.
void multiply_packed_rows(std::int64_t m, std::int64_t n, std::int64_t k, float alpha, Bf16Rows a,
                          const std::uint32_t* panels, float* c, std::int64_t ldc);

/// C[m, n] = alpha A B^T; a [m, k], b [n, k], k even; c in rows of `ldc`.
void multiply_bf16_rows(std::int64_t m, std::int64_t n, std::int64_t k, float alpha, Bf16Rows a, Bf16Rows b, float* c,
                        std::int64_t ldc);

}  // namespace meshfold::models::ops::kernels
