#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "models/ops/problems/attention.hpp"

namespace meshfold::models::ops::reference {

/// The twin of ops::attention() in plain ATen operations (see reference.hpp): every configuration, of all tokens.
/// Scores are whole tables, position terms are gathered from such. Query, key and value lie side by side as one matrix
/// [T, (H + 2 K) D], positions as for the block. masks[s] [heads, L_s, L_s]; empty: no dropout.
at::Tensor attention(const at::Tensor& query_key_value, const at::Tensor& positions, const AttentionConfig& config,
                     const std::vector<at::Tensor>& masks, const PackedInput& input);

}  // namespace meshfold::models::ops::reference
