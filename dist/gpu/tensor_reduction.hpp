#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "dist/process_group.hpp"

namespace meshfold::dist {

/// Throws invalid_argument unless tensors of `type` can be reduced with `op`: what find_reduce_kernel takes.
void check_reducible(at::ScalarType type, ReduceOp op);

/// parts[own] becomes the reduction of all parts, in tree order (reduction_tree.hpp); the others are spent. By tensor
/// operations, so on any device, with the bits of find_reduce_kernel.
void reduce_parts(std::vector<at::Tensor> parts, int own, ReduceOp op);

}  // namespace meshfold::dist
