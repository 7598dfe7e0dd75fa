#pragma once

#include <ATen/core/Tensor.h>

#include "models/context/dropout.hpp"
#include "models/context/forward_context.hpp"
#include "models/context/packed_input.hpp"
#include "models/ops/problems/activation.hpp"
#include "models/parameters/parameter_view.hpp"

/// Blocks around a norm, in fp32. x [T, H] in the compute type or fp32; results fp32 [T, H].
namespace meshfold::models::ops {

/// norm(residual + dropout(x)), as BERT's output blocks. residual fp32 [T, H].
at::Tensor add_norm(const at::Tensor& x, const at::Tensor& residual, const Norm& norm, const DropoutSite& dropout,
                    const PackedInput& input, const ForwardContext& context);

/// dropout(norm(x)).
at::Tensor norm(const at::Tensor& x, const Norm& norm, const DropoutSite& dropout, const PackedInput& input,
                const ForwardContext& context);

/// activation(norm(x)).
at::Tensor norm_activate(const at::Tensor& x, const Norm& norm, Activation activation, const ForwardContext& context);

}  // namespace meshfold::models::ops
