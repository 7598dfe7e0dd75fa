#pragma once

#include "jobs/config/run_config.hpp"
#include "jobs/error.hpp"
#include "jobs/run_environment.hpp"

namespace meshfold::jobs {

/// `meshfold train-tokenizer`: trains a SentencePiece model on the text columns of data.train and writes it where a
/// model directory of its family has it. For one process.
ExitCode run_train_tokenizer(const RunConfig& config, RunEnvironment& environment);

}  // namespace meshfold::jobs
