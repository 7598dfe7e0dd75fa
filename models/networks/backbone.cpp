#include "models/networks/backbone.hpp"

#include "base/text.hpp"

namespace meshfold::models {

std::string shape_in_words(const BackboneShape& shape) {
  return std::to_string(shape.num_layers) + " layers x " + std::to_string(shape.hidden_size) + ", " +
         std::to_string(shape.num_heads) + " heads, vocabulary " +
         base::with_separators(static_cast<std::uint64_t>(shape.vocabulary_size));
}

}  // namespace meshfold::models
