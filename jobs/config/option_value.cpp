#include "jobs/config/option_value.hpp"

namespace meshfold::jobs {
namespace {

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

template <typename Number>
std::optional<Number> whole_number(std::string_view text) {
  text = trimmed(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::string Range::in_words() const {
  const bool has_low = std::isfinite(low), has_high = std::isfinite(high);
  if (has_low && has_high) {
    return (low_excluded ? " above " : " from ") + format_number(low) + (high_excluded ? " to below " : " to ") +
           format_number(high);
  }
  if (has_low) return (low_excluded ? " above " : " of at least ") + format_number(low);
  return "";
}

double parse_number(std::string_view text, const Range& range) {
  const auto value = whole_number<double>(text);
  if (!value || !std::isfinite(*value) || !range.holds(*value)) {
    throw std::invalid_argument("a number" + range.in_words());
  }
  return *value;
}

long long parse_integer(std::string_view text, const Range& range) {
  const auto value = whole_number<long long>(text);
  if (!value || !range.holds(static_cast<double>(*value))) {
    throw std::invalid_argument("an integer" + range.in_words());
  }
  return *value;
}

bool parse_flag(std::string_view text) {
  text = trimmed(text);
  for (const auto* name : {"true", "yes", "on", "1"}) {
    if (text == name) return true;
  }
  for (const auto* name : {"false", "no", "off", "0"}) {
    if (text == name) return false;
  }
  throw std::invalid_argument("true or false");
}

std::vector<std::string> parse_list(std::string_view text) {
  std::vector<std::string> items;
  if (trimmed(text).empty()) return items;
  while (true) {
    const std::size_t comma = text.find(',');
    const std::string_view item = trimmed(text.substr(0, comma));
    if (item.empty()) throw std::invalid_argument("names with single commas between them");
    items.emplace_back(item);
    if (comma == std::string_view::npos) return items;
    text.remove_prefix(comma + 1);
  }
}

std::string format_number(double value) {
  char text[64];
  const auto result = std::to_chars(text, text + sizeof text, value);
  return {text, result.ptr};
}

std::string format_list(const std::vector<std::string>& items) {
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "" : ",") + item;
  return text;
}

}  // namespace meshfold::jobs
