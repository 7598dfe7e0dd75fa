#pragma once

#include <ATen/core/Tensor.h>

#include "models/context/dropout.hpp"
#include "models/context/packed_input.hpp"
#include "models/ops/problems/relative_slots.hpp"

namespace meshfold::models::ops {

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

struct AttentionResult {
  at::Tensor output;       ///< [tokens, width], type of qkv
  at::Tensor log_sum_exp;  ///< fp32 [heads, tokens], kept for backward; in host memory undefined outside of training
};

struct AttentionGradients {
  at::Tensor query, key_value;              ///< as in the problem
  at::Tensor position_query, position_key;  ///< fp32 [A, H]; undefined where the problem has none

  at::Tensor query_key_value() const;  ///< side by side
  at::Tensor positions() const;        ///< side by side; undefined where there are none
};

}  // namespace meshfold::models::ops
