#pragma once

#include <ATen/core/Tensor.h>

#include "models/ops/attention.hpp"
#include "models/ops/dropout.hpp"
#include "models/ops/relative_slots.hpp"

/// Both attentions in LibTorch operations, fp32 inside, on any device. Inputs of one length are computed together, a
/// strip of queries at a time, so nothing is padded and memory grows with the length, not with its square.
namespace meshfold::models::ops::aten {

/// dropout(softmax(scale x (query . key + query . position_key[slot] + key . position_query[slot]))) value. T tokens, H
/// columns, A slots.
struct AttentionProblem {
  at::Tensor qkv;             ///< [T, 3 H], fp32 or bf16
  at::Tensor position_query;  ///< [A, H], fp32 or bf16; undefined: the scores lack that term
  at::Tensor position_key;    ///< the same
  std::int64_t num_heads = 1;
  double scale = 1.0;
  const Dropout* dropout = nullptr;
  const RelativeSlots* slots = nullptr;  ///< null: there are no positions
  const PackedInput* input = nullptr;
};

AttentionResult attention_forward(const AttentionProblem& problem);

struct AttentionGradients {
  at::Tensor qkv;                           ///< type of qkv
  at::Tensor position_query, position_key;  ///< fp32 [A, H]; undefined where the problem has none
};

/// Probabilities and dropout are made again; `log_sum_exp` is forward's.
AttentionGradients attention_backward(const AttentionProblem& problem, const at::Tensor& output_gradient,
                                      const at::Tensor& log_sum_exp);

}  // namespace meshfold::models::ops::aten
