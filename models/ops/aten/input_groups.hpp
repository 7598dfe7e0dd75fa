#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "models/context/packed_input.hpp"

namespace meshfold::models::ops::aten {

/// Inputs of one length, which attention computes side by side: so nothing is padded.
struct InputGroup {
  std::int64_t count = 0, length = 0;  ///< inputs, and tokens of each
  at::Tensor tokens;                   ///< int64 [count * length]: their rows in the pack, input by input
  at::Tensor inputs;                   ///< int64 [count]: their numbers in the pack
  at::Tensor philox_rows;              ///< int64 [count]
};

/// Every input that has tokens, once: groups by rising length, inputs in the order of the pack. A group has at most a
/// few thousand tokens, or one input.
std::vector<InputGroup> group_by_length(const PackedInput& input, at::Device device);

}  // namespace meshfold::models::ops::aten
