#pragma once

#include <string>
#include <vector>

#include "jobs/config/run_config.hpp"
#include "launcher/command_line.hpp"

namespace meshfold::launcher {

/// Whether --run must be given; a plan writes nothing.
enum class RunDirectory { kNeeded, kOptional };

/// The config of a command line: --set, else --debug, else the file, else the defaults. Without --config, a run
/// directory that has a config.ini continues with it. Every fault of the command line's options, the file and their
/// combination (validate.hpp) is collected and thrown as one jobs::ConfigError. Reads files: one rank does it, and the
/// others take the result as text. Sets `hash` and `ini_text`.
jobs::RunConfig read_config(const CommandLine& line, int num_ranks, RunDirectory directory = RunDirectory::kNeeded);

/// The keys that the command line's --set and --config name; what is wrong with them is read_config's to say.
std::vector<std::string> given_keys(const CommandLine& line);

/// A resolved config as text that any rank turns back into the same config: the run directory, then config.ini.
std::string to_text(const jobs::RunConfig& config);
jobs::RunConfig from_text(const std::string& text);

}  // namespace meshfold::launcher
