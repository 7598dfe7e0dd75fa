#pragma once

#include <string>
#include <utility>
#include <vector>

namespace meshfold::launcher {

struct Command;

/// The words of one invocation, not yet looked up in the option table.
struct CommandLine {
  const Command* command = nullptr;  ///< nullptr with `help` or `version`
  std::vector<std::string> words;    ///< what follows the command: "list", "run/fold-0"
  std::string config_file, run_directory;
  std::vector<std::pair<std::string, std::string>> sets;  ///< --set key=value, in order
  std::string format, output, directory, ranks;           ///< of the commands that take them; directory: --dir
  std::vector<std::string> accepted_changes;              ///< --accept-changes: keys
  bool compare = false, dry_run = false, debug = false;
  bool help = false, version = false;
};

/// Command and options in any order. Throws jobs::ConfigError that lists every fault.
CommandLine parse_command_line(int argc, const char* const* argv);

/// `meshfold --help`: usage, commands, general options.
std::string general_help();

/// `meshfold <command> --help` without the options: what it does, how it is written, an example.
std::string usage_of(const Command& command);

}  // namespace meshfold::launcher
