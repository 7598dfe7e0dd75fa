#include "models/context/packed_input.hpp"

#include <ATen/ATen.h>

#include <numeric>
#include <stdexcept>

namespace meshfold::models {

PackedInput first_tokens(const PackedInput& input) {
  std::vector<std::int64_t> starts;
  for (std::int64_t s = 0; s < input.num_inputs(); ++s) {
    if (input.cu_seqlens[s + 1] <= input.cu_seqlens[s]) throw std::invalid_argument("an input has no token");
    starts.push_back(input.cu_seqlens[s]);
  }
  const at::Tensor rows = at::tensor(starts, input.token_ids.options());
  PackedInput first = input;
  first.token_ids = input.token_ids.index_select(0, rows);
  first.positions = input.positions.index_select(0, rows);
  first.segments = input.segments.index_select(0, rows);
  std::iota(first.cu_seqlens.begin(), first.cu_seqlens.end(), 0);
  return first;
}

}  // namespace meshfold::models
