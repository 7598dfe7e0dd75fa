#pragma once

#include "jobs/console.hpp"
#include "jobs/error.hpp"
#include "launcher/command_line.hpp"

namespace meshfold::launcher {

/// `report DIR` and `report --compare A B...`: pages made of run directories' files alone. One process.
jobs::ExitCode run_report_command(const CommandLine& line, jobs::Console& console);

}  // namespace meshfold::launcher
