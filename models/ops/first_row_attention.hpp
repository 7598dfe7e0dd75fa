#pragma once

#include <ATen/core/Tensor.h>

#include "models/ops/disentangled_attention.hpp"

/// Attention where only the result of every input's first token is wanted: one query an input, all keys. The work is
/// that of one row, in proportion to the number of tokens.
namespace meshfold::models::ops {

/// How many relative slots the first queries of inputs of at most `longest` tokens touch: those of the distances
/// -(longest - 1) .. 0, which come first among the slots of RelativeSlots.
std::int64_t first_row_slots(const RelativeBuckets& buckets, std::int64_t longest);

/// The rows of attention() or disentangled_attention() that belong to first tokens, with the same draws, [S, H]. query
/// [S, H] of the first tokens; key_value [T, 2 H], key and value side by side, type of query. `positions`: as for
/// disentangled_attention(), of the first_row_slots() alone; undefined where the configuration has none. Saves its
/// inputs and the log-sum-exp. Each head is one task of one thread, its inputs in order, so bits do not depend on the
/// number of threads. Throws invalid_argument for shapes that do not fit.
at::Tensor first_row_attention(const at::Tensor& query, const at::Tensor& key_value, const at::Tensor& positions,
                               const DisentangledConfig& config, const DropoutSite& dropout, const PackedInput& input,
                               const ForwardContext& context);

}  // namespace meshfold::models::ops
