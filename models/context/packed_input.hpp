#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace meshfold::models {

/// data::PackedBatch as tensors on the mesh's device. S inputs of T tokens in all; no padding.
struct PackedInput {
  at::Tensor token_ids;                  ///< int64 [T]
  at::Tensor positions;                  ///< int64 [T], from 0 within each input
  at::Tensor segments;                   ///< int64 [T]
  std::vector<std::int32_t> cu_seqlens;  ///< host, [S + 1]
  /// Philox row of each input: dataset row * views + view. Decides dropout, so that it does not depend on the packing.
  /// [S]
  std::vector<std::uint32_t> philox_rows;
  std::int64_t views_per_sample = 1;  ///< inputs of a sample, one behind the other
  at::Tensor features = {};           ///< fp32 [S / views_per_sample, F]; undefined: there are none

  std::int64_t num_tokens() const { return cu_seqlens.back(); }
  std::int64_t num_inputs() const { return static_cast<std::int64_t>(cu_seqlens.size()) - 1; }
};

/// The same inputs cut to their first tokens: one token each, with its position and draws; views and features stay.
/// Example: lengths 3, 1, 4 with cu_seqlens 0, 3, 4, 8 become 0, 1, 2, 3. Throws invalid_argument if an input has no
/// token.
PackedInput first_tokens(const PackedInput& input);

/// The tokens of which something is computed.
enum class QueryRows {
  kAll,
  kFirst,  ///< the first token of every input: one row each, [S, H]
};

}  // namespace meshfold::models
