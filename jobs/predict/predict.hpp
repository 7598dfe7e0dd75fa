#pragma once

#include "jobs/config/run_config.hpp"
#include "jobs/error.hpp"
#include "jobs/run/run_environment.hpp"

namespace meshfold::jobs {

/// `meshfold predict`: on a run directory that has finished folds or a finished `train` job (fold mean), or on a plain
/// model directory (model.path). Writes <run>/predictions.csv: id, then pred_<label> in label order. Collective over
/// the world.
ExitCode run_predict(const RunConfig& config, RunEnvironment& environment);

/// `meshfold export`: the selected weights of a finished `train` job, or of the best fold (or --set export.job=fold-1),
/// as a Hugging Face directory.
ExitCode run_export(const RunConfig& config, RunEnvironment& environment);

/// `meshfold tokenize`: prepares data.train and data.test and says where the files are.
ExitCode run_tokenize(const RunConfig& config, RunEnvironment& environment);

}  // namespace meshfold::jobs
