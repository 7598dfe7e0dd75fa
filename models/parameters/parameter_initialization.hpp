#pragma once

#include <cstdint>

#include "models/parameters/parameter_store.hpp"

namespace meshfold::models {

/// Draws values for a parameter as its initializer says: normal with `standard_deviation` by Philox (purpose
/// kParameterInitialization, site 0, counter (FNV-1a 32 of the name, element/2 low, element/2 high, 0), Box-Muller in
/// double; element counts row-major in the global shape), so that any rank fills any piece alike and a tensor's values
/// do not depend on the others.
void initialize_parameter(const Parameter& parameter, std::uint32_t seed, double standard_deviation);

}  // namespace meshfold::models
