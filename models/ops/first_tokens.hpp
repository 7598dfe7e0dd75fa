#pragma once

#include "models/context/packed_input.hpp"

namespace meshfold::models {

/// The same inputs cut to their first tokens: one token each, with its position and draws; views and features stay.
/// Example: lengths 3, 1, 4 with cu_seqlens 0, 3, 4, 8 become 0, 1, 2, 3. Throws invalid_argument if an input has no
/// token.
PackedInput first_tokens(const PackedInput& input);

}  // namespace meshfold::models
