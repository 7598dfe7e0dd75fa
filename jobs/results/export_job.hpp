#pragma once

#include <filesystem>

#include "jobs/config/run_config.hpp"
#include "jobs/error.hpp"
#include "jobs/results/job_result.hpp"
#include "jobs/run_environment.hpp"

namespace meshfold::jobs {

/// Writes a finished job's selected weights as a Hugging Face directory to export.path, or `<run>/model`; returns
/// where. One rank. A directory that an earlier export of this run left is replaced; any other that exists is a
/// ConfigError.
std::filesystem::path export_job(const RunConfig& config, const JobRecord& record);

/// `meshfold export`: the selected weights of a finished `train` job, or of the best fold (or --set export.job=fold-1),
/// as a Hugging Face directory. Collective over the world.
ExitCode run_export(const RunConfig& config, RunEnvironment& environment);

}  // namespace meshfold::jobs
