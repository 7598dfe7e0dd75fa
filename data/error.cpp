#include "data/error.hpp"

namespace meshfold::data {
namespace {

std::string in_words(const InputPlace& place) {
  std::string text = place.file;
  if (place.row) text += ", row " + std::to_string(*place.row);
  if (place.line) text += (place.row ? " (line " : ", line ") + std::to_string(*place.line) + (place.row ? ")" : "");
  if (!place.column.empty()) text += ", column '" + place.column + "'";
  return text;
}

}  // namespace

InputError::InputError(const InputPlace& place, const std::string& problem_and_advice)
    : std::runtime_error(in_words(place) + ": " + problem_and_advice), place_(place) {}

}  // namespace meshfold::data
