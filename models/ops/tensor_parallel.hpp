#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "models/context/packed_input.hpp"
#include "models/ops/block_costs.hpp"
#include "models/ops/linear.hpp"

/// What the ranks of the tensor axis exchange in forward and backward. Every rank calls these in the same order with
/// the same number of tokens. Without a tensor axis they are the plain blocks. T tokens of which this rank has T_r rows
/// (token_rows.hpp).
namespace meshfold::models::ops {

/// What the ranks do with the rows that gather_rows gave them, and so how their gradients belong together.
enum class Use {
  kInParts,  ///< each multiplies them by its own piece of a matrix: the gradient is the sum over the ranks
  kAlike,    ///< all do the same: the ranks have the same gradient
};

/// This rank's rows [T_r, W] of all ranks' as [T, W] in `type`.
at::Tensor gather_rows(const at::Tensor& x, Use use, at::ScalarType type, const PackedInput& input,
                       const ForwardContext& context);

/// The own rows [T_r, W] of [T, W], which is the same on every rank.
at::Tensor own_rows(const at::Tensor& x, const PackedInput& input, const ForwardContext& context);

/// linear() of this rank's rows [T_r, in]. With a weight cut along dim 0 ("column parallel": W^T is cut along its
/// columns) all rows come first, and the result is [T, piece of out]; with a whole one it is [T_r, out].
at::Tensor column_parallel_linear(const at::Tensor& x, const Linear& projection, const PackedInput& input,
                                  const ForwardContext& context);
/// The same of activated_linear().
Activated column_parallel_linear(const at::Tensor& x, const Linear& projection, Activation activation,
                                 const PackedInput& input, const ForwardContext& context);

/// x W^T + b for this rank's rows, [T_r, out]. With a weight cut along dim 1, x is [T, piece of in], and the ranks'
/// products are added in fp32; with a whole one x is [T_r, in].
at::Tensor row_parallel_linear(const at::Tensor& x, const Linear& projection, const PackedInput& input,
                               const ForwardContext& context);
at::Tensor row_parallel_linear(const Activated& x, const Linear& projection, const PackedInput& input,
                               const ForwardContext& context);

/// A rank's rows of a table that is cut along dim 0, for the tokens of [0, T): adds up what the ranks have and leaves
/// this rank's rows, fp32 [T_r, W]. No graph; for the embedding block.
at::Tensor gather_table_rows(const ParameterView& table, const at::Tensor& indices, const ForwardContext& context);
/// Its backward: hands the gradients of this rank's rows to the ranks that hold the table's rows, and so to `sink`.
void add_table_rows(GradientSink& sink, const ParameterView& table, const at::Tensor& indices,
                    const at::Tensor& own_gradient, const ForwardContext& context);

/// Bytes that a rank sends where all ranks' rows come together: in gather_rows() forward, and on the way back in
/// own_rows(), row_parallel_linear() and add_table_rows(). An element has `element_bytes`.
std::int64_t sent_by_gathering(std::int64_t width, std::int64_t element_bytes, const PackOnRank& pack);
/// Bytes that a rank sends where the ranks' parts of a sum over [T, width] are added, in fp32: forward in
/// row_parallel_linear() and gather_table_rows(), on the way back in gather_rows() of rows that are used in parts.
std::int64_t sent_by_adding(std::int64_t width, const PackOnRank& pack);

}  // namespace meshfold::models::ops
