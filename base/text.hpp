#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <ranges>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

/// Numbers and lists in messages.
namespace meshfold::base {

/// printf into a string: format("%.1f s", 2.25) is "2.2 s". Compilers check the arguments against a literal pattern.
[[gnu::format(printf, 1, 2)]] std::string format(const char* pattern, ...);

/// 23703 as "23,703".
std::string with_separators(std::uint64_t number);

/// The items with `separator` between them: "a, b, c". `projection` gives what is written of an item, a text or a
/// number.
template <std::ranges::input_range Items, typename Projection = std::identity>
std::string joined(Items&& items, std::string_view separator = ", ", Projection projection = {}) {
  std::string text;
  bool is_first = true;
  for (const auto& item : items) {
    if (!std::exchange(is_first, false)) text += separator;
    const auto& shown = std::invoke(projection, item);
    if constexpr (std::is_arithmetic_v<std::remove_cvref_t<decltype(shown)>>) {
      text += std::to_string(shown);
    } else {
      text += shown;
    }
  }
  return text;
}

/// At most `most` names of a list, and how many more there are: "a, b and 3 more".
template <std::ranges::sized_range Names>
std::string shortened(const Names& names, std::size_t most) {
  const std::size_t count = std::ranges::size(names), shown = std::min(count, most);
  const std::string text = joined(names | std::views::take(static_cast<std::ptrdiff_t>(shown)));
  return shown == count ? text : text + " and " + std::to_string(count - shown) + " more";
}

}  // namespace meshfold::base
