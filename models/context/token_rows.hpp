#pragma once

#include <cstdint>
#include <vector>

#include "models/context/forward_context.hpp"

namespace meshfold::models {

/// Between matrix products the T rows of a pack's tokens are shared among the ranks of the tensor axis ("sequence
/// parallel", Korthikanti et al. 2022): each normalises, drops out and adds its own rows only. Samples are cut
/// anywhere, and with fewer tokens than ranks some have no row.
struct TokenRows {
  std::int64_t first = 0, count = 0;   ///< this rank's
  std::vector<std::int64_t> of_ranks;  ///< every rank's number of rows
};

/// The first T mod ranks ranks have one row more. Without a tensor axis all rows are this rank's.
TokenRows token_rows(std::int64_t num_tokens, const ForwardContext& context);
/// Those of rank `rank` on a tensor axis of `ranks`.
TokenRows token_rows(std::int64_t num_tokens, int rank, int ranks);

/// Whether the model is cut over several ranks.
bool on_tensor_axis(const ForwardContext& context);

}  // namespace meshfold::models
