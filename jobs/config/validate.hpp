#pragma once

#include <map>
#include <string>
#include <vector>

#include "jobs/config/run_config.hpp"

namespace meshfold::jobs {

/// Where each option that is not a default was set: key -> "vader.ini:12" or "--set".
using Origins = std::map<std::string, std::string>;

/// What no single option's range can say: options that `command` needs, options that contradict each other or the
/// number of ranks, files that are not there. Appends one line a fault. Looks at the file system, so one rank does it.
void validate(const std::string& command, const RunConfig& config, int num_ranks, const Origins& origins,
              std::vector<std::string>& faults);

}  // namespace meshfold::jobs
