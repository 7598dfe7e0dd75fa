#pragma once

#include <span>

#include "jobs/selftest/axes.hpp"
#include "jobs/selftest/context.hpp"
#include "jobs/selftest/finding.hpp"

namespace meshfold::jobs::selftest {

/// Sums known values over each axis, in one exchange and by slices, and compares all bits with the same sum made here.
Finding check_sums_over(const Context& context, std::span<const Axis> axes);

}  // namespace meshfold::jobs::selftest
