#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

#include "models/context/dropout.hpp"
#include "models/context/forward_context.hpp"
#include "models/context/packed_input.hpp"
#include "models/parameters/parameter_view.hpp"

/// Blocks of heads: from the T tokens of S inputs to one row each, and what is done with these rows. They throw
/// invalid_argument for an input without tokens.
namespace meshfold::models::ops {

/// First token of each input: [T, H] -> [S, H].
at::Tensor pool_cls(const at::Tensor& hidden, const PackedInput& input);
/// Last token of each input: [T, H] -> [S, H].
at::Tensor pool_last(const at::Tensor& hidden, const PackedInput& input);
/// Mean over each input's tokens, [S, H].
at::Tensor pool_mean(const at::Tensor& hidden, const PackedInput& input);

enum class Extreme { kLargest, kSmallest };
/// Largest or smallest value of each column over an input's tokens, [T, H] -> [S, H] fp32. Among equal values the token
/// at the lowest position gives the value and takes the gradient; NaN wins over every number.
at::Tensor pool_extreme(const at::Tensor& hidden, const PackedInput& input, Extreme extreme);

/// sum over an input's tokens of softmax(scores) x hidden: hidden [T, H] and scores [T, 1], both fp32; result [S, H].
at::Tensor pool_softmax(const at::Tensor& hidden, const at::Tensor& scores, const PackedInput& input);

/// sum of weights[l] x rows[l] over the sum of weights: as many fp32 [S, H] as there are weights, fp32 [n].
at::Tensor weighted_mean(const std::vector<at::Tensor>& rows, const ParameterView& weights,
                         const ForwardContext& context);

/// Dropout on pooled rows [S, H] (purpose kHeadDropout).
at::Tensor dropout_rows(const at::Tensor& x, const DropoutSite& dropout, const PackedInput& input,
                        const ForwardContext& context);
/// x times the mean of the dropout multipliers of all sites (purpose kHeadDropout): what a linear map of k dropout
/// samples gives on average, computed once.
at::Tensor mean_dropout_rows(const at::Tensor& x, std::span<const DropoutSite> sites, const PackedInput& input,
                             const ForwardContext& context);

}  // namespace meshfold::models::ops
