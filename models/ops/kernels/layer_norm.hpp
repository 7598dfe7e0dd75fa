#pragma once

#include <ATen/core/Tensor.h>

#include "models/ops/problems/norm.hpp"

/// The kernel pair behind add_norm and embed: y = after(LayerNorm(base + before(x))), row by row, fp32 inside.
namespace meshfold::models::ops {

NormResult norm_forward(const NormInput& input);

/// `x_type`: type of the forward's x, or kUndefined.
NormGradients norm_backward(const at::Tensor& dy, const NormResult& saved, const at::Tensor& gamma,
                            const RowDropout* before, const RowDropout* after, at::ScalarType x_type);

}  // namespace meshfold::models::ops
