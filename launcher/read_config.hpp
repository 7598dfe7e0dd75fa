#pragma once

#include <string>
#include <vector>

#include "jobs/config/run_config.hpp"
#include "jobs/config/validate.hpp"
#include "launcher/command_line.hpp"

namespace meshfold::launcher {

/// Whether --run must be given to a command that writes into it; a plan writes nothing.
enum class RunDirectory { kNeeded, kOptional };

/// The config of a command line, for what `use` says: --set, else --debug, else the file, else the defaults. Without
/// --config, a run directory that has a config.ini continues with it. Every fault of the command line's options, the
/// file and their combination is collected and thrown as one jobs::ConfigError. Reads files: one rank does it, and the
/// others take the result as text.
jobs::RunConfig read_config(const CommandLine& line, const jobs::ConfigUse& use,
                            RunDirectory directory = RunDirectory::kNeeded);

/// The keys that the command line's --set and --config name; what is wrong with them is read_config's to say.
std::vector<std::string> given_keys(const CommandLine& line);

}  // namespace meshfold::launcher
