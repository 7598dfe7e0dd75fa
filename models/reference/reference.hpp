#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "models/context/dropout.hpp"
#include "models/context/forward_context.hpp"
#include "models/context/packed_input.hpp"
#include "models/ops/embed.hpp"
#include "models/ops/problems/activation.hpp"

/// Twins of the blocks in plain ATen operations: any floating type, any device, LibTorch's own gradients, weights as
/// ordinary tensors; biases may be undefined. What the blocks are tested against. Masks hold 0 or 1 / keep probability
/// and are undefined where there is no dropout; they are drawn by the scalar Philox of base/philox.hpp, so they also
/// check the vectorised draws.
namespace meshfold::models::ops::reference {

at::Tensor activate(const at::Tensor& z, Activation activation);
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, Activation activation);
at::Tensor add_norm(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& gamma, const at::Tensor& beta,
                    double epsilon, const at::Tensor& mask);
at::Tensor embed(const PackedInput& input, const at::Tensor& words, const at::Tensor& positions,
                 const at::Tensor& segments, const at::Tensor& gamma, const at::Tensor& beta, double epsilon,
                 const at::Tensor& mask);
at::Tensor pool_mean(const at::Tensor& hidden, const PackedInput& input);

/// [tokens, width]: counter (step, philox row, position, column / 8).
at::Tensor hidden_dropout_mask(std::int64_t width, const DropoutSite& dropout, const PackedInput& input,
                               const DrawContext& draws);
/// Masks of the pack's inputs: counter (step, philox row, head << 20 | query, key / 8).
std::vector<at::Tensor> attention_dropout_masks(std::int64_t num_heads, const DropoutSite& dropout,
                                                const PackedInput& input, const DrawContext& draws);
/// [inputs, width]: counter (step, philox row, 0, column / 8).
at::Tensor head_dropout_mask(std::int64_t width, const DropoutSite& dropout, const PackedInput& input,
                             const DrawContext& draws);
/// [rows.count, width]: counter (step, 2^32 - 1, slot, column / 8).
at::Tensor slot_dropout_mask(std::int64_t width, const SlotRows& rows, const DropoutSite& dropout,
                             const DrawContext& draws);

}  // namespace meshfold::models::ops::reference
