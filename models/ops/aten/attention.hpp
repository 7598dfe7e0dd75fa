#pragma once

#include <ATen/core/Tensor.h>

#include "models/ops/problems/attention.hpp"

/// Both attentions in LibTorch operations, fp32 inside, on any device. Inputs of one length are computed together, a
/// strip of queries at a time, so nothing is padded and memory grows with the length, not with its square.
namespace meshfold::models::ops::aten {

/// output [Q, H], log_sum_exp [heads, Q].
AttentionResult attention_forward(const AttentionProblem& problem);

/// Probabilities and dropout are made again; `log_sum_exp` is forward's.
AttentionGradients attention_backward(const AttentionProblem& problem, const at::Tensor& output_gradient,
                                      const at::Tensor& log_sum_exp);

}  // namespace meshfold::models::ops::aten
