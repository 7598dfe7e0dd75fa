#pragma once

#include <vector>

#include "jobs/config/run_config.hpp"
#include "jobs/config/setting.hpp"

namespace meshfold::jobs {

/// What --debug sets, for a run of everything in a minute. 100 seeded rows, 2 folds (those of a fold
/// column stay), 2 epochs of at least a few steps, every step in the log. --set goes before it.
std::vector<Setting> debug_settings(const RunConfig& config);

}  // namespace meshfold::jobs
