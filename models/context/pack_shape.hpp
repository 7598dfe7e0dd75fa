#pragma once

#include <cstdint>

namespace meshfold::models {

/// What of a pack decides what it costs. It follows from the lengths of its inputs alone.
struct PackShape {
  std::int64_t tokens = 0;
  std::int64_t inputs = 0;         ///< texts
  std::int64_t longest = 0;        ///< tokens of the longest input
  std::int64_t relative_rows = 0;  ///< of LayerStream::relative; 0 in models without relative embeddings
};

/// A pack as one rank of a tensor axis meets it.
struct PackOnRank : PackShape {
  std::int64_t own_rows = 0;       ///< tokens whose rows this rank normalises, drops out and adds (token_rows.hpp)
  int tensor_ranks = 1;            ///< size of the axis
  std::int64_t compute_bytes = 4;  ///< of an element in the compute type
};

}  // namespace meshfold::models
