#pragma once

#include <ATen/core/Tensor.h>

#include "models/ops/ops.hpp"
#include "models/ops/problems/attention.hpp"

/// The kernel pair behind attention(): one task for each input and head, each single-threaded, so bits do not depend on
/// the number of threads. A task holds the scores of its input and head, [length, length], and nothing else grows with
/// length squared.
namespace meshfold::models::ops {

AttentionResult attention_forward(const at::Tensor& qkv, std::int64_t num_heads, const DropoutSite& site,
                                  const PackedInput& input, const ForwardContext& context);

/// Gradient of qkv. The probabilities are computed again from qkv and the log-sum-exp, the dropout is drawn again.
at::Tensor attention_backward(const at::Tensor& output_gradient, const at::Tensor& qkv, const at::Tensor& log_sum_exp,
                              std::int64_t num_heads, const DropoutSite& site, const PackedInput& input,
                              const ForwardContext& context);

}  // namespace meshfold::models::ops
