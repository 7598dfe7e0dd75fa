#pragma once

#include <vector>

#include "jobs/cv/fold_assignment.hpp"
#include "jobs/results/job_result.hpp"
#include "jobs/results/submission.hpp"
#include "jobs/run/training_run.hpp"

namespace meshfold::jobs {

/// All folds have finished: checks the out-of-fold predictions, scores them beside the trivial predictor, writes
/// oof.csv, submission.csv, report.html, exports the best fold's model, and prints the fold table and the paths. Rank 0
/// alone; throws what goes wrong. `results[k]` is fold k.
void close_cross_validation(const TrainingRun& run, const Folds& folds, const SubmissionFormat& submission,
                            const std::vector<JobResult>& results);

}  // namespace meshfold::jobs
