#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.hpp"
#include "dist/mesh.hpp"
#include "jobs/config/run_config.hpp"
#include "jobs/results/job_result.hpp"
#include "jobs/run/progress_board.hpp"
#include "jobs/run/rank_groups.hpp"
#include "jobs/run_environment.hpp"
#include "models/networks/model.hpp"

namespace meshfold::jobs {

/// One training of a run: a fold, or `train`.
struct JobPlan {
  std::string name;  ///< "fold-0", "train"
  int fold = -1;     ///< -1: not a fold
  int num_folds = 0;
  std::vector<std::uint32_t> training_rows, validation_rows;
};
/// With a fold column the rows of fold 0 are for validation, and the others for training; without one all rows train.
JobPlan plan_training(const data::Dataset& dataset);

/// The rank groups of a cross-validation: ranks that hold one model together stay together, and the folds go where they
/// end earliest by the tokens of their training rows (place_jobs). ConfigError if the ranks are no multiple of those
/// that hold a model.
std::vector<RankGroup> group_ranks(const RunConfig& config, const std::vector<JobPlan>& folds,
                                   const data::Dataset& dataset, int num_ranks);

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
