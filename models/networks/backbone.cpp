#include "models/networks/backbone.hpp"

namespace meshfold::models {
namespace {

/// 30522 as "30,522".
std::string with_thousands(std::int64_t number) {
  const std::string digits = std::to_string(number);
  std::string grouped;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) grouped += ',';
    grouped += digits[i];
  }
  return grouped;
}

}  // namespace

std::string shape_in_words(const BackboneShape& shape) {
  return std::to_string(shape.num_layers) + " layers x " + std::to_string(shape.hidden_size) + ", " +
         std::to_string(shape.num_heads) + " heads, vocabulary " + with_thousands(shape.vocabulary_size);
}

}  // namespace meshfold::models
