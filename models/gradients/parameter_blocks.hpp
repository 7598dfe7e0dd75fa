#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "models/gradients/flat_gradient.hpp"
#include "models/parameters/parameter_store.hpp"

namespace meshfold::models {

/// The unit in which gradient norms are added and, over the data axis, optimizer states are owned. Every parameter is
/// cut along dim 0 into at most 64 blocks of whole rows (a 1-d parameter is one). All ranks of a mesh's tensor axis
/// have the same number of blocks, in the same order; block k of a sharded parameter is a part of the rank's own piece.
struct ParameterBlock {
  std::size_t parameter = 0;        ///< in the store
  std::int64_t begin = 0, end = 0;  ///< elements of the flat storage; may be empty
  std::int64_t cost = 0;            ///< elements of the block in the whole tensor, the same on every tensor rank
};

std::vector<ParameterBlock> parameter_blocks(const ParameterStore& store);

/// Cuts the blocks, in order, among `parts` ranks of the data axis by cost: entry r is the first block of rank r, the
/// last entry their number. The same on every rank of the mesh.
std::vector<std::size_t> share_blocks(std::span<const ParameterBlock> blocks, int parts);

/// fp64 sum of squares of each block of a gradient.
std::vector<double> block_square_sums(std::span<const ParameterBlock> blocks, const FlatGradient& gradient);

}  // namespace meshfold::models
