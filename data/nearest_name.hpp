#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace meshfold::data {

/// The candidate with the smallest Damerau-Levenshtein distance to `name`, if it is near enough to be a typing error
/// (at most a third of the longer length); ties: the first.
std::optional<std::string> nearest_name(std::string_view name, std::span<const std::string> candidates);

}  // namespace meshfold::data
