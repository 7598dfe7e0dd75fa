#pragma once

#include <ATen/core/Tensor.h>

#include "models/context/forward_context.hpp"
#include "models/ops/problems/activation.hpp"
#include "models/parameters/parameter_view.hpp"

/// The blocks that models are made of are the headers of this folder. Each is one autograd function with a backward by
/// hand; weight gradients go to context.gradients. Activations are [tokens, width] without padding. In fp32 runs
/// everything is fp32; in bf16 runs block inputs and outputs of matrix products are bf16 while the residual stream,
/// norms and softmax are fp32. On a tensor axis the blocks between matrix products (norms, embeddings) see this rank's
/// rows of tokens only (token_rows.hpp); tensor_parallel.hpp has the products. Each block has a twin in plain
/// operations in reference.hpp.
namespace meshfold::models::ops {

/// activation(x W^T + b). x [T, in] in the compute type or fp32 (cast once); result [T, out] in the compute type.
at::Tensor linear(const at::Tensor& x, const Linear& projection, Activation activation, const ForwardContext& context);

/// The rows between two linears. Backward makes `after` again from `before`, so only one of them is kept.
struct Activated {
  Activation activation = Activation::kNone;
  at::Tensor before;  ///< x W^T + b, in the graph; undefined outside of training
  at::Tensor after;   ///< activation(before), without a graph
};
/// As linear(); for a linear that follows.
Activated activated_linear(const at::Tensor& x, const Linear& projection, Activation activation,
                           const ForwardContext& context);
/// x.after W^T + b, [T, out] in the compute type.
at::Tensor linear(const Activated& x, const Linear& projection, const ForwardContext& context);

}  // namespace meshfold::models::ops
