#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace meshfold::tests {

/// Values of one rank that a different order of addition would change: 24 random bits, signed, over more magnitudes
/// than the mantissa holds (integers: 24 random bits). Every rank can make every rank's.
at::Tensor values_of(int rank, std::int64_t size, at::ScalarType type);
std::vector<at::Tensor> values_of_all(int ranks, std::int64_t size, at::ScalarType type);

bool same_bits(const at::Tensor& a, const at::Tensor& b);

/// Numbers of rows for `ranks` ranks: even, all on the last, and unequal with an empty one.
std::vector<std::vector<std::int64_t>> ways_to_cut(std::int64_t rows, int ranks);

}  // namespace meshfold::tests
