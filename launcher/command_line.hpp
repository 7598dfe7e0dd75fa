#pragma once

#include <string>
#include <utility>
#include <vector>

namespace meshfold::launcher {

/// A sub-command as the first word of the command line names it.
struct Command {
  /// kRanks: any number under mpirun. kOneRank: one, which is started as it is. kNoMpi: one that looks at files only.
  enum class Processes { kRanks, kOneRank, kNoMpi };

  std::string name;
  std::string arguments;  ///< "list|verify DIR"; empty for most
  std::string summary;
  bool takes_options;  ///< reads a config: --config, --set, --run
  Processes processes;
  std::vector<std::string> flags;  ///< the options of single commands that it takes: "format"
  std::string example;  ///< what stands behind `meshfold` or `mpirun -n 4 meshfold`; runs from the project's root
};

/// All commands, in the order in which --help lists them.
const std::vector<Command>& commands();
/// nullptr if there is none of that name.
const Command* find_command(const std::string& name);

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
