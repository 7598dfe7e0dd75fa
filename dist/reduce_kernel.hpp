#pragma once

#include <c10/core/ScalarType.h>

#include <cstddef>

#include "dist/process_group.hpp"

namespace meshfold::dist {

/// accumulator[i] = accumulator[i] op summand[i] for `count` elements.
using ReduceKernel = void (*)(void* accumulator, const void* summand, std::size_t count);

/// float, double, int32 and int64; throws invalid_argument for other types. Integer sums wrap. A NaN on any rank makes
/// kMax and kMin NaN, so bad numbers are never hidden by a reduction.
ReduceKernel find_reduce_kernel(c10::ScalarType type, ReduceOp op);

}  // namespace meshfold::dist
