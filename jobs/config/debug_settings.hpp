#pragma once

#include <string>
#include <utility>
#include <vector>

#include "jobs/config/run_config.hpp"

namespace meshfold::jobs {

/// What --debug sets, as key and value: a run of everything in a minute. 100 seeded rows, 2 folds (those of a fold
/// column stay), 2 epochs of at least a few steps, every step in the log. --set goes before it.
std::vector<std::pair<std::string, std::string>> debug_settings(const RunConfig& config);

}  // namespace meshfold::jobs
