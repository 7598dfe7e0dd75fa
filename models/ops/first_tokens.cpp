#include "models/ops/first_tokens.hpp"

#include <numeric>

#include "models/ops/ops.hpp"

namespace meshfold::models {

PackedInput first_tokens(const PackedInput& input) {
  PackedInput first = input;
  first.token_ids = ops::pool_cls(input.token_ids, input);
  first.positions = ops::pool_cls(input.positions, input);
  first.segments = ops::pool_cls(input.segments, input);
  std::iota(first.cu_seqlens.begin(), first.cu_seqlens.end(), 0);
  return first;
}

}  // namespace meshfold::models
