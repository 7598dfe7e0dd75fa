#pragma once

#include "jobs/config/run_config.hpp"
#include "jobs/error.hpp"
#include "jobs/run_environment.hpp"

namespace meshfold::jobs {

/// `meshfold predict`: on a run directory that has finished folds or a finished `train` job (fold mean), or on a plain
/// model directory (model.path). Writes <run>/predictions.csv: id, then pred_<label> in label order. Collective over
/// the world.
ExitCode run_predict(const RunConfig& config, RunEnvironment& environment);

}  // namespace meshfold::jobs
