#pragma once

#include <functional>
#include <string>
#include <vector>

#include "jobs/config/run_config.hpp"
#include "jobs/config/run_directory.hpp"

namespace meshfold::jobs {

/// One row of the table from which parsing, --help, the written config.ini, docs/options.md and suggestions all come.
struct Option {
  using Kind = ResolvedOption::Kind;

  std::string key;       ///< "training.epochs"
  std::string type;      ///< for people: "integer of at least 1", "fp32 | bf16 | auto"
  std::string unit;      ///< "s", "tokens"; empty if none
  Kind kind;             ///< data and training keys may not change in a run directory
  std::string commands;  ///< whose --help shows it: "cv train"
  std::string help;
  std::string default_note;  ///< instead of the default's text where it depends on something; else empty
  /// Throws invalid_argument whose message says what is expected ("an integer of at least 1").
  std::function<void(RunConfig&, const std::string& text)> set;
  std::function<std::string(const RunConfig&)> text;

  std::string default_text() const { return text(RunConfig{}); }
};

/// Every option, section by section.
const std::vector<Option>& option_table();
/// nullptr if there is none of that key.
const Option* find_option(const std::string& key);
/// "; did you mean 'training.epochs'?", or nothing.
std::string suggest_option(const std::string& key);

/// Whether `command` reads the option.
bool belongs_to(const Option& option, const std::string& command);

/// The options of one command: key, type, default, unit, help.
std::string help_of_command(const std::string& command);
/// The whole table as a page; docs/options.md is this text.
std::string options_as_markdown();

/// Every option's value, in table order.
std::vector<ResolvedOption> resolved_options(const RunConfig& config);

}  // namespace meshfold::jobs
