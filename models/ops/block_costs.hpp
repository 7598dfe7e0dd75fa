#pragma once

#include <cstdint>

#include "models/context/pack_shape.hpp"

namespace meshfold::models::ops {

/// Bytes that a block of a network costs one rank for one pack, beside its parameters and their gradients. Tensors of
/// the host back ends are counted; the scratch of kernels is no tensor.
struct BlockCosts {
  std::int64_t kept = 0;              ///< for backward, from the end of the block's forward on
  std::int64_t working_forward = 0;   ///< at its costliest moment of forward, beside what is kept at its end
  std::int64_t working_backward = 0;  ///< at its costliest moment of backward, beside what it has kept
  std::int64_t sent_forward = 0;      ///< over the tensor axis, each time that it goes forward
  std::int64_t sent_backward = 0;     ///< over the tensor axis
};

/// The costs of two blocks, one behind the other. While the first one computes, what the second one keeps is not there
/// yet, and on the way back it has gone. So a network's costs are those of its blocks in the order of forward.
BlockCosts in_turn(const BlockCosts& first, const BlockCosts& second);

/// The costs of a block through which no gradient goes: it keeps and sends back nothing. What it would make in backward
/// stays, as a bound.
BlockCosts without_gradient(BlockCosts costs);

/// Bytes of rows in fp32: the residual stream, norms, gradients of positions.
constexpr std::int64_t fp32_bytes(std::int64_t rows, std::int64_t width) {
  return rows * width * static_cast<std::int64_t>(sizeof(float));
}

/// Kept by a linear: its input in the compute type; behind an activation, what that activation was given.
constexpr std::int64_t kept_by_linear(std::int64_t rows, std::int64_t width, const PackOnRank& pack) {
  return rows * width * pack.compute_bytes;
}

/// Kept by norm() and add_norm(): normalised rows in the type of what came in, and the reciprocal deviation of each.
constexpr std::int64_t kept_by_norm(std::int64_t rows, std::int64_t width, std::int64_t element_bytes) {
  return rows * width * element_bytes + fp32_bytes(rows, 1);
}

/// What a rank's attention reads: columns of its own heads.
struct AttentionSize {
  std::int64_t queries = 0, query_width = 0;
  std::int64_t keys = 0, key_value_width = 0;  ///< the width of a key and a value together
  std::int64_t num_heads = 0;
};

/// Kept by attention(): query, key and value, and the log-sum-exp of each query and head.
constexpr std::int64_t kept_by_attention(const AttentionSize& size, const PackOnRank& pack) {
  return (size.queries * size.query_width + size.keys * size.key_value_width) * pack.compute_bytes +
         fp32_bytes(size.queries, size.num_heads);
}

}  // namespace meshfold::models::ops
