#pragma once

#include <filesystem>

#include "jobs/config/run_config.hpp"
#include "jobs/console.hpp"
#include "jobs/prepare/dataset_cache.hpp"

namespace meshfold::jobs {

/// The dataset that prepare_dataset() would give, without MPI and without a trace: opened from the cache if it is
/// there, else made by this process alone in a temporary file that has no name any more on return. Throws as
/// prepare_dataset().
PreparedDataset prepare_dataset_alone(const RunConfig& config, const std::filesystem::path& table, TableRole role,
                                      Console& console);

}  // namespace meshfold::jobs
