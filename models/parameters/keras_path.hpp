#pragma once

#include <string>
#include <vector>

#include "models/parameters/layout_map.hpp"

namespace meshfold::models {

/// What to do about a rule that matches nothing, as the end of a sentence. A path of a published Keras layout map
/// ("decoder_block.*attention_output/kernel") is answered with the rules of `defaults` that were meant.
std::string advice_on_unmatched_rule(const LayoutRule& rule, const std::vector<LayoutRule>& defaults);

}  // namespace meshfold::models
