#pragma once

#include "jobs/console.hpp"
#include "jobs/error.hpp"
#include "launcher/command_line.hpp"

namespace meshfold::launcher {

/// `meshfold plan [cv|train]`: what that command would do with these options on --ranks ranks; without a word it is cv
/// if an option is given that only cv reads, else train. Returns kConfig if the
/// run would refuse the layout; its faults are in the plan. Throws what the run would throw at its start.
jobs::ExitCode run_plan_command(const CommandLine& line, jobs::Console& console);

}  // namespace meshfold::launcher
