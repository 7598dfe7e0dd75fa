#pragma once

#include "data/dataset.hpp"
#include "jobs/config/run_config.hpp"
#include "jobs/error.hpp"
#include "jobs/run/job.hpp"
#include "jobs/run_environment.hpp"

namespace meshfold::jobs {

/// The job of `meshfold train`. With a fold column the rows of fold 0 are for validation, and the others for training;
/// without one all rows train.
JobPlan plan_training(const data::Dataset& dataset);

/// `meshfold train`: one job over all ranks. Exports its model and writes validation.csv (if there are validation rows)
/// and report.html. Continues a run that was interrupted. Collective over the world.
ExitCode run_training(const RunConfig& config, RunEnvironment& environment);

}  // namespace meshfold::jobs
