#pragma once

#include "models/context/dropout.hpp"
#include "models/context/forward_context.hpp"
#include "models/context/packed_input.hpp"
#include "models/ops/problems/attention.hpp"

namespace meshfold::models::ops {

/// Attention within each input, of all tokens or of first tokens alone, [Q, H D]: one block for all configurations.
/// Never holds scores over the whole pack. Backward computes the probabilities again from the inputs and the saved
/// log-sum-exp. A rank of a tensor axis gives its own heads, and says in `dropout` which of the model's they are.
at::Tensor attention(const AttentionInputs& inputs, const AttentionConfig& config, const DropoutSite& dropout,
                     const PackedInput& input, const ForwardContext& context);

/// What computes the problem. Host memory has kernels for problems without mask and soft cap, whose heads have keys and
/// values of their own. All others are computed by LibTorch operations, in host memory too: slower, and right.
AttentionKernels kernels_for(const AttentionProblem& problem);

}  // namespace meshfold::models::ops
