#include "jobs/config/options.hpp"

#include <algorithm>
#include <sstream>

#include "data/nearest_name.hpp"
#include "jobs/console.hpp"

namespace meshfold::jobs {
namespace {

constexpr std::size_t kHelpWidth = 100;

std::string name_of(Option::Kind kind) {
  switch (kind) {
    case Option::Kind::kData:
      return "data";
    case Option::Kind::kTraining:
      return "training";
    case Option::Kind::kLayout:
      return "layout";
    case Option::Kind::kOutput:
      return "output";
  }
  return {};
}

std::string section_of(const std::string& key) { return key.substr(0, key.find('.')); }
std::string last_part_of(const std::string& key) { return key.substr(key.find('.') + 1); }

std::string default_of(const Option& option) {
  if (!option.default_note.empty()) return option.default_note;
  return option.default_text();
}

/// Lines with `indent` blanks in front that stay within the help's width.
std::string indented(const std::string& text, std::size_t indent) {
  std::string result;
  for (const auto line : wrapped(text, kHelpWidth - indent)) {
    result += std::string(indent, ' ') + std::string(line) + "\n";
  }
  return result;
}

std::string in_table(std::string cell) {
  for (std::size_t i = 0; (i = cell.find('|', i)) != std::string::npos; i += 2) cell.insert(i, 1, '\\');
  for (std::size_t i = 0; (i = cell.find('<', i)) != std::string::npos; i += 4) cell.replace(i, 1, "&lt;");
  return cell;
}

}  // namespace

const Option* find_option(const std::string& key) {
  const auto found = std::ranges::find(option_table(), key, &Option::key);
  return found == option_table().end() ? nullptr : &*found;
}

std::string suggest_option(const std::string& key) {
  std::vector<std::string> keys;
  for (const Option& option : option_table()) keys.push_back(option.key);
  // The right name in a wrong section first: "training.learning_rate" is nearer to its own section in spelling only.
  for (const std::string& candidate : keys) {
    if (last_part_of(candidate) == last_part_of(key)) return "; did you mean '" + candidate + "'?";
  }
  const auto nearest = data::nearest_name(key, keys);
  return nearest ? "; did you mean '" + *nearest + "'?" : "; meshfold options lists all of them";
}

std::string help_of(CommandSet commands) {
  std::string text, section;
  for (const Option& option : option_table()) {
    if (!option.commands.meets(commands)) continue;
    if (section_of(option.key) != section) {
      section = section_of(option.key);
      text += "\n[" + section + "]\n";
    }
    const std::string default_text = default_of(option);
    text += "  " + option.key + "  (" + option.type + (option.unit.empty() ? "" : ", " + option.unit) +
            (default_text.empty() ? "" : "; default " + default_text) + ")\n" + indented(option.help, 6);
  }
  return text;
}

std::string options_as_markdown() {
  std::ostringstream page;
  page << "# Options\n\nWritten by `meshfold options`. An option stands in an INI file under its section, or on the "
          "command line as `--set section.key=value`. A run directory refuses changed *data* and *training* options; "
          "*layout* and *output* options may change when a run continues.\n";
  std::string section;
  for (const Option& option : option_table()) {
    if (section_of(option.key) != section) {
      section = section_of(option.key);
      page << "\n## " << section
           << "\n\n| key | value | default | kind | commands | meaning |\n| --- | --- | --- | --- | --- | --- |\n";
    }
    page << "| `" << option.key << "` | " << in_table(option.type)
         << (option.unit.empty() ? "" : " (" + option.unit + ")") << " | " << in_table(default_of(option)) << " | "
         << name_of(option.kind) << " | " << option.commands.to_string() << " | " << in_table(option.help) << " |\n";
  }
  return page.str();
}

}  // namespace meshfold::jobs
