#pragma once

#include "jobs/console.hpp"
#include "jobs/error.hpp"
#include "launcher/command_line.hpp"

namespace meshfold::launcher {

/// `meshfold completion bash`: prints a script for `source <(meshfold completion bash)`: completes commands, flags, the
/// option keys of the command after
/// --set, and after `key=` the option's choices or paths. Made from the option table and the command list.
jobs::ExitCode run_completion_command(const CommandLine& line, jobs::Console& console);

}  // namespace meshfold::launcher
