#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "dist/process_group.hpp"
#include "jobs/results/job_result.hpp"

namespace meshfold::jobs {

/// The finished jobs of a run directory: all folds in order, or `train`. Empty if the directory has none;
/// CheckpointError if only some folds have finished.
std::vector<JobRecord> find_finished_jobs(const std::filesystem::path& run);

/// The same on every rank after all have agreed that the directory reads alike. Collective over `group`.
std::vector<JobRecord> agreed_finished_jobs(dist::ProcessGroup& group, const std::filesystem::path& run);

/// The job whose first score is best; the first one without scores. `jobs` is not empty.
const JobRecord& best_job(const std::vector<JobRecord>& jobs);

/// The job called `name`, or the best of the run when it is empty. CheckpointError if there is none.
JobRecord choose_job(const std::filesystem::path& run, const std::string& name);

}  // namespace meshfold::jobs
