#pragma once

#include <string>

#include "jobs/plan/run_plan.hpp"

namespace meshfold::jobs {

/// The plan as one JSON document; docs/file-formats.md has its keys.
std::string plan_as_json(const RunPlan& plan);

}  // namespace meshfold::jobs
