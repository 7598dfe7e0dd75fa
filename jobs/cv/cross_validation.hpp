#pragma once

#include "jobs/config/run_config.hpp"
#include "jobs/error.hpp"
#include "jobs/run_environment.hpp"

namespace meshfold::jobs {

/// `meshfold cv`: prepares the data, makes or reads folds, runs the folds side by side on rank groups, collects and
/// checks out-of-fold predictions (every sample exactly one), averages test predictions, writes folds.csv, oof.csv,
/// submission.csv, report.html. Continues a run that was interrupted: finished folds are not run again. Collective over
/// the world.
ExitCode run_cross_validation(const RunConfig& config, RunEnvironment& environment);

}  // namespace meshfold::jobs
