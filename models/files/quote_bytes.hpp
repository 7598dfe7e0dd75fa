#pragma once

#include <string>
#include <string_view>

namespace meshfold::models {

/// Text from a file for a one-line message: quoted, cut after 80 bytes, without control characters.
inline std::string quote_bytes(std::string_view text) {
  constexpr std::size_t kShown = 80;
  std::string result = "'";
  for (const char byte : text.substr(0, kShown)) result += byte >= ' ' && byte <= '~' ? byte : '?';
  return result + (text.size() > kShown ? "...'" : "'");
}

}  // namespace meshfold::models
