#pragma once

#include <string>
#include <vector>

#include "data/dataset.hpp"
#include "jobs/config/run_config.hpp"
#include "jobs/console.hpp"
#include "jobs/cv/fold_assignment.hpp"
#include "jobs/report/run_notes.hpp"
#include "jobs/results/job_result.hpp"
#include "jobs/results/submission.hpp"

namespace meshfold::jobs {

/// What the end of a cross-validation needs of its beginning.
struct ClosingInputs {
  const RunConfig& config;
  const data::Dataset& training;
  const data::Dataset* test;  ///< null: there is none
  const Folds& folds;
  const models::HeadConfig& head;
  const SubmissionFormat& submission;
  const RunNotes& notes;  ///< as written at the start
};

/// All folds have finished: checks the out-of-fold predictions, scores them beside the trivial predictor, writes
/// oof.csv, submission.csv, report.html, exports the best fold's model, and prints the fold table and the paths. Rank 0
/// alone; throws what goes wrong. `results[k]` is fold k.
void close_cross_validation(const ClosingInputs& inputs, const std::vector<JobResult>& results, Console& console);

/// The end of `train`: exports the model, writes validation.csv (if there are validation rows) and report.html, prints
/// scores and paths. Rank 0 alone.
void close_training(const RunConfig& config, const data::Dataset& training, const JobResult& result, RunNotes notes,
                    Console& console);

}  // namespace meshfold::jobs
