#pragma once

#include <map>
#include <string>
#include <vector>

#include "jobs/config/commands.hpp"
#include "jobs/config/run_config.hpp"

namespace meshfold::jobs {

/// What a config is for: which options must be there, and how many ranks there are to share.
struct ConfigUse {
  CommandName command;
  int num_ranks;
};

/// Where each option that is not a default was set: key -> "vader.ini:12" or "--set".
using SettingPlaces = std::map<std::string, std::string>;

/// What no single option's range can say: options that the command needs, options that contradict each other or the
/// number of ranks, files that are not there. Appends one line per fault. Looks at the file system, so one rank does
/// it. The one place for such checks, so that what runs may rely on them.
void validate(const RunConfig& config, const ConfigUse& use, const SettingPlaces& places,
              std::vector<std::string>& faults);

}  // namespace meshfold::jobs
