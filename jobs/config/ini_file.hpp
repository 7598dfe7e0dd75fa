#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "jobs/config/setting.hpp"

namespace meshfold::jobs {

/// Reads sections, `key = value` lines, and comments that start with # or ; at the line's start or after a blank. A
/// value that needs blanks at its ends or a comment sign stands in double quotes, with \" and \\ inside.
/// Boost.Program_options reads INI files too, but forgets the lines, and a message without its line makes people
/// search. Faults are appended to `faults`; `name` is the file's name for messages.
std::vector<Setting> parse_ini(std::string_view text, const std::string& name, std::vector<std::string>& faults);

/// The same for a file; one that cannot be read is a fault of --config.
std::vector<Setting> read_ini_file(const std::filesystem::path& file, std::vector<std::string>& faults);

}  // namespace meshfold::jobs
