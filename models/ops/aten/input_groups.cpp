#include "models/ops/aten/input_groups.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>

namespace meshfold::models::ops::aten {
namespace {

/// Scores are held for a group at a time, so this bounds them.
constexpr std::int64_t kGroupTokens = 4096;

}  // namespace

std::vector<InputGroup> group_by_length(const PackedInput& input, at::Device device) {
  std::map<std::int64_t, std::vector<std::int64_t>> inputs_of_length;
  for (std::int64_t s = 0; s < input.num_inputs(); ++s) {
    const std::int64_t length = input.cu_seqlens[s + 1] - input.cu_seqlens[s];
    if (length > 0) inputs_of_length[length].push_back(s);
  }
  const at::TensorOptions options = at::TensorOptions(at::kLong).device(device);
  std::vector<InputGroup> groups;
  for (const auto& [length, inputs] : inputs_of_length) {
    const std::size_t most = static_cast<std::size_t>(std::max<std::int64_t>(1, kGroupTokens / length));
    for (std::size_t first = 0; first < inputs.size(); first += most) {
      std::vector<std::int64_t> starts, numbers, philox_rows;
      for (std::size_t i = first; i < std::min(inputs.size(), first + most); ++i) {
        starts.push_back(input.cu_seqlens[inputs[i]]);
        numbers.push_back(inputs[i]);
        philox_rows.push_back(input.philox_rows[inputs[i]]);
      }
      const at::Tensor tokens = at::tensor(starts, options).unsqueeze(1) + at::arange(length, options);
      groups.push_back({static_cast<std::int64_t>(starts.size()), length, tokens.flatten(),
                        at::tensor(numbers, options), at::tensor(philox_rows, options)});
    }
  }
  return groups;
}

}  // namespace meshfold::models::ops::aten
