#pragma once

#include <ATen/core/Tensor.h>

#include "models/context/dropout.hpp"
#include "models/context/forward_context.hpp"
#include "models/context/packed_input.hpp"
#include "models/ops/problems/attention.hpp"

namespace meshfold::models::ops {

/// Softmax attention within each input. qkv [T, 3 H] (query, key, value side by side); scale 1/sqrt(H / heads); dropout
/// on the probabilities. Result [T, H]. Never holds scores over the whole pack: one input at a time, recomputed in
/// backward from the saved log-sum-exp.
at::Tensor attention(const at::Tensor& qkv, std::int64_t num_heads, const DropoutSite& dropout,
                     const PackedInput& input, const ForwardContext& context);

/// The kernel pair behind attention(): one task for each input and head, each single-threaded, so bits do not depend on
/// the number of threads. A task holds the scores of its input and head, [length, length], and nothing else grows with
/// length squared.
AttentionResult attention_forward(const at::Tensor& qkv, std::int64_t num_heads, const DropoutSite& site,
                                  const PackedInput& input, const ForwardContext& context);

/// Gradient of qkv. The probabilities are computed again from qkv and the log-sum-exp, the dropout is drawn again.
at::Tensor attention_backward(const at::Tensor& output_gradient, const at::Tensor& qkv, const at::Tensor& log_sum_exp,
                              std::int64_t num_heads, const DropoutSite& site, const PackedInput& input,
                              const ForwardContext& context);

}  // namespace meshfold::models::ops
