#include "base/text.hpp"

#include <cstdarg>
#include <cstdio>

namespace meshfold::base {

std::string format(const char* pattern, ...) {
  std::va_list values, same_values;
  va_start(values, pattern);
  va_copy(same_values, values);
  const int length = std::vsnprintf(nullptr, 0, pattern, values);
  std::string text(static_cast<std::size_t>(std::max(length, 0)), '\0');
  std::vsnprintf(text.data(), text.size() + 1, pattern, same_values);
  va_end(same_values);
  va_end(values);
  return text;
}

std::string with_separators(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (auto place = static_cast<std::ptrdiff_t>(text.size()) - 3; place > 0; place -= 3) {
    text.insert(static_cast<std::size_t>(place), 1, ',');
  }
  return text;
}

}  // namespace meshfold::base
