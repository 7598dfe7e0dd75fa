#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.hpp"
#include "dist/mesh.hpp"
#include "jobs/config/run_config.hpp"
#include "jobs/job_id.hpp"
#include "jobs/results/job_result.hpp"
#include "jobs/run/progress_board.hpp"
#include "jobs/run_environment.hpp"
#include "models/networks/model.hpp"

namespace meshfold::jobs {

/// One training of a run and its rows.
struct JobPlan {
  JobId id;
  int num_folds = 0;  ///< of the run; 0: its jobs are no folds
  std::vector<std::uint32_t> training_rows, validation_rows;
};

/// Optimizer steps of one epoch over the rows.
std::int64_t steps_an_epoch(const TrainingSection& training, std::size_t num_rows);

/// Optimizer steps of a job: training.epochs over its rows, or training.max_steps where that is set.
std::int64_t num_steps_of(const TrainingSection& training, std::size_t num_rows);

/// What the jobs of a run share; all of it outlives them.
struct JobInputs {
  const RunConfig& config;
  const data::Dataset& training;
  const data::Dataset* test;  ///< null: there is none
  const models::HeadConfig& head;
  const ResultOrigin& origin;
};

enum class JobState { kFinished, kStopped, kBadNumbers };

/// How a job ended. Bad numbers are an outcome and no exception: the other jobs go on.
struct JobOutcome {
  JobState state = JobState::kFinished;
  std::string message;
};

/// Runs one job to its outcome: loads a fresh model, trains it from the newest checkpoint, predicts the validation and
/// test rows with the selected weights, and commits the result. Collective over the mesh.
JobOutcome run_job(const JobPlan& plan, const JobInputs& inputs, const dist::Mesh& mesh, ProgressBoard& board,
                   RunEnvironment& environment);

}  // namespace meshfold::jobs
