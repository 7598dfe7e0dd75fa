#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "models/ops/disentangled_attention.hpp"

/// Twins of the blocks of DeBERTa's attention in plain ATen operations: see reference.hpp.
namespace meshfold::models::ops::reference {

/// Position terms gathered from whole score tables. masks[s] [heads, L_s, L_s]; empty: no dropout.
at::Tensor disentangled_attention(const at::Tensor& qkv, const at::Tensor& positions, const DisentangledConfig& config,
                                  const std::vector<at::Tensor>& masks, const PackedInput& input);

}  // namespace meshfold::models::ops::reference
