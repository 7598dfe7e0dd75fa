#include "jobs/config/ini_file.hpp"

#include <algorithm>
#include <fstream>
#include <optional>
#include <sstream>
#include <system_error>

namespace meshfold::jobs {
namespace {

constexpr std::string_view kBlanks = " \t\r";

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

bool starts_comment(std::string_view text, std::size_t i) {
  return (text[i] == '#' || text[i] == ';') && (i == 0 || kBlanks.find(text[i - 1]) != std::string_view::npos);
}

std::string_view without_comment(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (starts_comment(text, i)) return text.substr(0, i);
  }
  return text;
}

/// The inside of a value that starts with a double quote; nullopt if the quote never closes or text follows it.
std::optional<std::string> unquoted(std::string_view text) {
  std::string value;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"') {
      if (!trimmed(without_comment(text.substr(i + 1))).empty()) return std::nullopt;
      return value;
    }
    if (text[i] == '\\' && i + 1 < text.size()) ++i;
    value += text[i];
  }
  return std::nullopt;
}

}  // namespace

std::vector<Setting> parse_ini(std::string_view text, const std::string& name, std::vector<std::string>& faults) {
  std::vector<Setting> entries;
  std::string section;
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  for (std::size_t number = 1, start = 0; start < text.size(); ++number) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    const std::string_view line = trimmed(text.substr(start, end - start));
    start = end + 1;
    const std::string place = name + ":" + std::to_string(number);
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    if (line.front() == '[') {
      const std::string_view header = trimmed(without_comment(line));
      if (header.back() == ']') {
        section = trimmed(header.substr(1, header.size() - 2));
      } else {
        faults.push_back(place + ": '" + std::string(line) + "' is no [section]; close it with ]");
      }
      continue;
    }
    const std::size_t equals = line.find('=');
    const std::string key(trimmed(line.substr(0, equals)));
    if (equals == std::string_view::npos || key.empty()) {
      faults.push_back(place + ": '" + std::string(line) + "' is neither [section] nor key = value");
      continue;
    }
    const std::string_view raw = trimmed(line.substr(equals + 1));
    std::string value;
    if (raw.starts_with('"')) {
      const auto inside = unquoted(raw);
      if (!inside) {
        faults.push_back(place + ": the quoted value of '" + key + "' does not end at its closing \"");
        continue;
      }
      value = *inside;
    } else {
      // A blank stands before the value, so a value that is only a comment is empty.
      const std::string_view after = line.substr(equals + 1);
      value = trimmed(without_comment(after));
    }
    entries.push_back({section.empty() ? key : section + "." + key, value, place});
  }
  return entries;
}

std::vector<Setting> read_ini_file(const std::filesystem::path& file, std::vector<std::string>& faults) {
  std::error_code ignored;
  std::ifstream in(file, std::ios::binary);
  if (!in || std::filesystem::is_directory(file, ignored)) {
    faults.push_back("--config " + file.string() + ": cannot be read; name an INI file");
    return {};
  }
  std::ostringstream contents;
  contents << in.rdbuf();
  return parse_ini(contents.str(), file.string(), faults);
}

}  // namespace meshfold::jobs
