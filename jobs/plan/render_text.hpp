#pragma once

#include "jobs/console.hpp"
#include "jobs/plan/run_plan.hpp"

namespace meshfold::jobs {

/// The plan for people: tables on the console.
void print_plan(const RunPlan& plan, Console& console);

}  // namespace meshfold::jobs
