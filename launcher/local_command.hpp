#pragma once

#include <optional>

#include "jobs/error.hpp"
#include "launcher/command_line.hpp"

namespace meshfold::launcher {

/// Runs what needs one process and no MPI: help, version, and the commands that look at files (they start in a fraction
/// of the time, also on a login node where MPI cannot start). Under mpirun the first process does it and the others do
/// nothing. nullopt if the command is another or the words cannot be understood. Prints one line for a failure.
std::optional<jobs::ExitCode> run_local_command(int argc, const char* const* argv);

}  // namespace meshfold::launcher
