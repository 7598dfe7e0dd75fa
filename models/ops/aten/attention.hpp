#pragma once

#include <ATen/core/Tensor.h>

#include "models/first_tokens.hpp"
#include "models/ops/attention.hpp"
#include "models/ops/dropout.hpp"
#include "models/ops/relative_slots.hpp"

/// Both attentions in LibTorch operations, fp32 inside, on any device. Inputs of one length are computed together, a
/// strip of queries at a time, so nothing is padded and memory grows with the length, not with its square.
namespace meshfold::models::ops::aten {

/// dropout(softmax(scale x (query . key + query . position_key[slot] + key . position_query[slot]))) value. T tokens, H
/// columns, A slots, Q queries: T, or one an input.
struct AttentionProblem {
  at::Tensor query;           ///< [Q, H], fp32 or bf16
  at::Tensor key_value;       ///< [T, 2 H], key and value side by side
  Rows queries = Rows::kAll;  ///< of which tokens
  at::Tensor position_query;  ///< [A, H], fp32 or bf16; undefined: the scores lack that term
  at::Tensor position_key;    ///< the same
  std::int64_t num_heads = 1;
  double scale = 1.0;
  const Dropout* dropout = nullptr;
  const RelativeSlots* slots = nullptr;  ///< null: there are no positions
  const PackedInput* input = nullptr;
};

/// output [Q, H], log_sum_exp [heads, Q].
AttentionResult attention_forward(const AttentionProblem& problem);

struct AttentionGradients {
  at::Tensor query, key_value;              ///< as in the problem
  at::Tensor position_query, position_key;  ///< fp32 [A, H]; undefined where the problem has none

  at::Tensor query_key_value() const;  ///< side by side
  at::Tensor positions() const;        ///< side by side; undefined where there are none
};

/// Probabilities and dropout are made again; `log_sum_exp` is forward's.
AttentionGradients attention_backward(const AttentionProblem& problem, const at::Tensor& output_gradient,
                                      const at::Tensor& log_sum_exp);

}  // namespace meshfold::models::ops::aten
