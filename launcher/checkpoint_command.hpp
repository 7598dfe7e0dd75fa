#pragma once

#include "jobs/console.hpp"
#include "jobs/error.hpp"
#include "launcher/command_line.hpp"

namespace meshfold::launcher {

/// `meshfold checkpoint list|verify DIR`, with DIR a checkpoint, a job or a run directory. list shows job, step, bytes
/// and time; verify reads every byte and names each fault: kNoCheckpoint if there is one, or if there is no checkpoint.
jobs::ExitCode run_checkpoint_command(const CommandLine& line, jobs::Console& console);

}  // namespace meshfold::launcher
