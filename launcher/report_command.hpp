#pragma once

#include "jobs/console.hpp"
#include "jobs/error.hpp"
#include "launcher/command_line.hpp"

namespace meshfold::launcher {

/// `status DIR`, `report DIR` and `report --compare A B...`: a table and pages made of run directories' files alone.
jobs::ExitCode run_status_command(const CommandLine& line, jobs::Console& console);
jobs::ExitCode run_report_command(const CommandLine& line, jobs::Console& console);

}  // namespace meshfold::launcher
