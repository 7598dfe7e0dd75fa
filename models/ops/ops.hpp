#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "models/context/dropout.hpp"
#include "models/context/forward_context.hpp"
#include "models/context/packed_input.hpp"
#include "models/ops/problems/activation.hpp"

/// The blocks that models are made of. On a tensor axis the blocks between matrix products (norms, embeddings) see this
/// rank's rows of tokens only (token_rows.hpp); tensor_parallel.hpp has the products. Each is one autograd function
/// with a backward by hand; weight gradients go to context.gradients. Activations are [tokens, width] without padding.
/// In fp32 runs everything is fp32; in bf16 runs block inputs and outputs of matrix products are bf16 while the
/// residual stream, norms and softmax are fp32. Each block has a twin in plain ops in reference.hpp.
namespace meshfold::models::ops {

/// activation(x W^T + b). x [T, in] in the compute type or fp32 (cast once); result [T, out] in the compute type. The
/// bias may be undefined: there is none.
at::Tensor linear(const at::Tensor& x, const ParameterView& weight, const ParameterView& bias, Activation activation,
                  const ForwardContext& context);

/// The rows between two linears. Backward makes `after` again from `before`, so only one of them is kept.
struct Activated {
  Activation activation = Activation::kNone;
  at::Tensor before;  ///< x W^T + b, in the graph; undefined outside of training
  at::Tensor after;   ///< activation(before), without a graph
};
/// As linear(); for a linear that follows.
Activated activated_linear(const at::Tensor& x, const ParameterView& weight, const ParameterView& bias,
                           Activation activation, const ForwardContext& context);
/// x.after W^T + b, [T, out] in the compute type.
at::Tensor linear(const Activated& x, const ParameterView& weight, const ParameterView& bias,
                  const ForwardContext& context);

/// LayerNorm(residual + dropout(x)) in fp32, as BERT's output blocks. x [T, H] compute type; residual fp32 [T, H];
/// result fp32.
at::Tensor add_norm(const at::Tensor& x, const at::Tensor& residual, const ParameterView& gamma,
                    const ParameterView& beta, double epsilon, const DropoutSite& dropout, const PackedInput& input,
                    const ForwardContext& context);

/// dropout(LayerNorm(x)), fp32 [T, H]. x [T, H] compute type or fp32.
at::Tensor norm(const at::Tensor& x, const ParameterView& gamma, const ParameterView& beta, double epsilon,
                const DropoutSite& dropout, const PackedInput& input, const ForwardContext& context);

/// word[token] + position[pos] + segment[seg], fp32 [T, W]. Positions and segments may be undefined: the model has
/// none.
at::Tensor sum_embeddings(const PackedInput& input, const ParameterView& words, const ParameterView& positions,
                          const ParameterView& segments, const ForwardContext& context);
/// norm() of sum_embeddings().
at::Tensor embed(const PackedInput& input, const ParameterView& words, const ParameterView& positions,
                 const ParameterView& segments, const ParameterView& gamma, const ParameterView& beta, double epsilon,
                 const DropoutSite& dropout, const ForwardContext& context);

/// Softmax attention within each input. qkv [T, 3 H] (query, key, value side by side); scale 1/sqrt(H / heads); dropout
/// on the probabilities. Result [T, H]. Never holds scores over the whole pack: one input at a time, recomputed in
/// backward from the saved log-sum-exp.
at::Tensor attention(const at::Tensor& qkv, std::int64_t num_heads, const DropoutSite& dropout,
                     const PackedInput& input, const ForwardContext& context);

/// First token of each input: [T, H] -> [S, H].
at::Tensor pool_cls(const at::Tensor& hidden, const PackedInput& input);
/// Mean over each input's tokens, [S, H].
at::Tensor pool_mean(const at::Tensor& hidden, const PackedInput& input);
/// Dropout on pooled rows [S, H] (purpose kHeadDropout).
at::Tensor dropout_rows(const at::Tensor& x, const DropoutSite& dropout, const PackedInput& input,
                        const ForwardContext& context);

/// 0 or `scale` for each element of [T, width]: counter (step, philox row, position, column / 8). What the blocks
/// apply, for tests and reference.
at::Tensor hidden_dropout_mask(std::int64_t width, const DropoutSite& dropout, const PackedInput& input,
                               const DrawContext& draws);

}  // namespace meshfold::models::ops
