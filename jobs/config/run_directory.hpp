#pragma once

#include <string>
#include <vector>

#include "jobs/config/run_config.hpp"

namespace meshfold::jobs {

/// Writes or checks config.ini and run.json of the config's run directory (run id, format version, config hash, the
/// data and training options, accepted changes). A changed data or training key of a run that has begun to train is a
/// ConfigError with the list of differences, unless it is one of `accepted`: then the change is noted with its time in
/// run.json. An option that did not exist when the run began had its default. Before training begins, as after a start
/// that was refused, and for layout and output keys changes are simply taken. Both files are replaced atomically.
/// Returns the hash of the config that the run was started with, which its checkpoints and results carry through
/// accepted changes. Throws StorageError if the files cannot be written. Rank 0 only.
std::string open_run_directory(const RunConfig& config, const std::vector<std::string>& accepted);

/// XXH3-128 over the data and training keys and values, 32 hex digits; stored in checkpoints.
std::string config_hash(const RunConfig& config);

/// Every option as INI text, section by section in the table's order; values are quoted where the reader would
/// otherwise change them.
std::string to_ini(const RunConfig& config);

}  // namespace meshfold::jobs
