#pragma once

#include "jobs/config/run_config.hpp"
#include "jobs/error.hpp"
#include "jobs/run_environment.hpp"

namespace meshfold::jobs {

/// `meshfold tokenize`: prepares data.train and data.test and says where the files are. Collective over the world.
ExitCode run_tokenize(const RunConfig& config, RunEnvironment& environment);

}  // namespace meshfold::jobs
