#pragma once

#include <ATen/core/Tensor.h>

#include "models/context/dropout.hpp"

/// y = after(LayerNorm(base + before(x))), row by row, fp32 inside: what each back end is given, and gives.
namespace meshfold::models::ops {

struct NormInput {
  at::Tensor base;                     ///< fp32 [rows, width]
  at::Tensor x;                        ///< fp32 or bf16 [rows, width]; may be undefined: no summand
  const RowDropout* before = nullptr;  ///< on x
  const RowDropout* after = nullptr;   ///< on the result
  at::Tensor gamma, beta;              ///< fp32 [width]; beta may be undefined: none
  double epsilon = 1e-12;
  Mode mode = Mode::kTraining;  ///< only training keeps what backward needs
};

/// In host memory the last two are undefined outside of training.
struct NormResult {
  at::Tensor y;           ///< fp32 [rows, width]
  at::Tensor normalized;  ///< before gamma and beta, [rows, width] in the type of x, fp32 without; for backward
  at::Tensor rstd;        ///< fp32 [rows]; for backward
};

struct NormGradients {
  at::Tensor base;         ///< fp32 [rows, width]
  at::Tensor x;            ///< [rows, width] in x_type; undefined if there was no x
  at::Tensor gamma, beta;  ///< fp32 [width], rows summed in a fixed order
};

}  // namespace meshfold::models::ops
