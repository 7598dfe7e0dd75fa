#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace meshfold::jobs {

/// One `key = value` of an INI text, with the place for messages.
struct IniEntry {
  std::string key;    ///< "training.epochs": section, dot, key
  std::string value;  ///< trimmed, comment cut off, quotes resolved
  std::string place;  ///< "vader.ini:12"
};

/// Reads sections, `key = value` lines, and comments that start with # or ; at the line's start or after a blank. A
/// value that needs blanks at its ends or a comment sign stands in double quotes, with \" and \\ inside.
/// Boost.Program_options reads INI files too, but forgets the lines, and a message without its line makes people
/// search. Faults are appended to `faults`; `name` is the file's name for messages.
std::vector<IniEntry> parse_ini(std::string_view text, const std::string& name, std::vector<std::string>& faults);

}  // namespace meshfold::jobs
