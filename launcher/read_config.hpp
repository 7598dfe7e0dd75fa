#pragma once

#include <string>

#include "jobs/run_config.hpp"
#include "launcher/command_line.hpp"

namespace meshfold::launcher {

/// The config of a command line: --set, else --debug, else the file, else the defaults. Without --config, a run
/// directory that has a config.ini continues with it. Every fault of the command line's options, the file and their
/// combination (validate.hpp) is collected and thrown as one jobs::ConfigError. Reads files: one rank does it, and the
/// others take the result as text. Sets `hash` and `ini_text`.
jobs::RunConfig read_config(const CommandLine& line, int num_ranks);

/// A resolved config as text that any rank turns back into the same config: the run directory, then config.ini.
std::string to_text(const jobs::RunConfig& config);
jobs::RunConfig from_text(const std::string& text);

}  // namespace meshfold::launcher
