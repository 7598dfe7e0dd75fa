#pragma once

#include "models/gradients/flat_gradient.hpp"
#include "models/parameters/parameter_store.hpp"

namespace meshfold::models {

/// The global L2 norm of a gradient that one rank holds whole: one fp64 sum of squares per parameter block (dim 0 cut
/// into at most 64 blocks; 1-d: one), blocks added in order.
double gradient_norm(const ParameterStore& store, const FlatGradient& gradient);

}  // namespace meshfold::models
