#pragma once

#include <functional>
#include <string>
#include <vector>

#include "jobs/config/commands.hpp"
#include "jobs/config/run_config.hpp"

namespace meshfold::jobs {

/// One row of the table from which parsing, --help, the written config.ini, docs/options.md and suggestions all come.
struct Option {
  /// Data and training options decide what is computed and may not change in a run directory; the others may.
  enum class Kind { kData, kTraining, kLayout, kOutput };

  std::string key;   ///< "training.epochs"
  std::string type;  ///< for people: "integer of at least 1", "fp32 | bf16 | auto"
  std::string unit;  ///< "s", "tokens"; empty if none
  Kind kind;
  CommandSet commands;  ///< that read it; their --help shows it
  std::string help;
  std::string default_note;  ///< instead of the default's text where it depends on something; else empty
  /// Throws invalid_argument whose message says what is expected ("an integer of at least 1").
  std::function<void(RunConfig&, const std::string& text)> set;
  std::function<std::string(const RunConfig&)> text;  ///< as in the INI file, before quoting

  std::string default_text() const { return text(RunConfig{}); }
  bool is_fixed() const { return kind == Kind::kData || kind == Kind::kTraining; }
};

/// Every option, section by section.
const std::vector<Option>& option_table();
/// nullptr if there is none of that key.
const Option* find_option(const std::string& key);
/// "; did you mean 'training.epochs'?", or nothing.
std::string suggest_option(const std::string& key);

/// The options that any of `commands` reads: key, type, default, unit, help.
std::string help_of(CommandSet commands);
/// The whole table as a page; docs/options.md is this text.
std::string options_as_markdown();

}  // namespace meshfold::jobs
