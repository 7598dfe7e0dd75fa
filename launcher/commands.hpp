#pragma once

#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "jobs/config/commands.hpp"
#include "jobs/config/run_config.hpp"
#include "jobs/console.hpp"
#include "jobs/error.hpp"
#include "jobs/run_environment.hpp"

namespace meshfold::launcher {

struct CommandLine;

/// A sub-command: how it is called, and what runs.
struct Command {
  /// Looks at files only, in one process and without MPI.
  struct Alone {
    std::function<jobs::ExitCode(const CommandLine&, jobs::Console&)> run;
    jobs::CommandSet options{};  ///< whose options it takes: plan those of the commands that it plans
  };
  /// Runs on all ranks with one config.
  struct OnRanks {
    enum class Number { kAny, kOne };

    jobs::CommandName name;  ///< for the config
    std::function<jobs::ExitCode(const CommandLine&, const jobs::RunConfig&, jobs::RunEnvironment&)> run;
    Number number = Number::kAny;
  };

  std::string name;                  ///< the first word of the command line
  std::string arguments{};           ///< "list|verify DIR"; empty for most
  std::string summary;               ///< for --help
  std::vector<std::string> flags{};  ///< the options of single commands that it takes: "format"
  std::string example;  ///< what stands behind `meshfold` or `mpirun -n 4 meshfold`; runs from the project's root
  std::variant<Alone, OnRanks> run;

  /// The commands whose options it takes: with --config, --set and --run. Empty: it reads no config.
  jobs::CommandSet options() const;
  /// Whether it is started by mpirun on any number of ranks.
  bool takes_ranks() const;
};

/// All commands, in the order in which --help lists them.
const std::vector<Command>& commands();
/// nullptr if there is none of that name.
const Command* find_command(const std::string& name);

}  // namespace meshfold::launcher
