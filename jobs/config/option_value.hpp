#pragma once

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace meshfold::jobs {

/// What a value may be, as a range and in words: "of at least 1", "from 0 to 1".
struct Range {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool low_excluded = false, high_excluded = false;

  bool holds(double value) const {
    return (low_excluded ? value > low : value >= low) && (high_excluded ? value < high : value <= high);
  }
  std::string in_words() const;  ///< with a blank in front; empty without bounds
};

inline constexpr Range any_number() { return {}; }
inline constexpr Range at_least(double low) { return {low, std::numeric_limits<double>::infinity()}; }
inline constexpr Range above(double low) { return {low, std::numeric_limits<double>::infinity(), true, false}; }
inline constexpr Range between(double low, double high) { return {low, high}; }
inline constexpr Range from_to_below(double low, double high) { return {low, high, false, true}; }

/// One spelling of each enum value, in the order in which help lists them.
template <typename Enum>
using Names = std::vector<std::pair<std::string, Enum>>;

// Text to value: the whole text or invalid_argument whose message says what is expected. Value to text: the shortest
// text that gives the same value again. Locales play no part.
double parse_number(std::string_view text, const Range& range);
long long parse_integer(std::string_view text, const Range& range);  ///< range within int or uint32
bool parse_flag(std::string_view text);
std::vector<std::string> parse_list(
    std::string_view text);  ///< comma-separated; blanks around items are dropped, empty items refused
std::string format_number(double value);
std::string format_list(const std::vector<std::string>& items);

template <typename Enum>
std::string choices(const Names<Enum>& names) {
  std::string text;
  for (const auto& [name, value] : names) text += (text.empty() ? "" : " | ") + name;
  return text;
}

}  // namespace meshfold::jobs
