#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "jobs/scores/metrics.hpp"
#include "jobs/train/rank_usage.hpp"

namespace meshfold::jobs {

struct StepReport {
  std::int64_t step = 0;  ///< steps done, from 1
  std::int64_t num_steps = 0;
  double epoch = 0;          ///< fractional epochs done
  std::int64_t samples = 0;  ///< samples done since the start of training
  double loss = 0, learning_rate = 0, grad_norm = 0;
  double tokens_per_s = 0, samples_per_s = 0;
};

struct EvaluationReport {
  std::int64_t step = 0;
  double epoch = 0;
  Scores scores;
  bool best = false;
  double seconds = 0;
};

/// Told of a job's progress on the job's first rank.
class TrainListener {
 public:
  virtual ~TrainListener() = default;
  /// Training goes on after `step` (0: from the start). What was reported of later steps was of an attempt that was
  /// lost. Called first of all.
  virtual void on_resume(std::int64_t step) { static_cast<void>(step); }
  virtual void on_step(const StepReport& report) = 0;
  virtual void on_evaluation(const EvaluationReport& report) = 0;
  /// A sentence worth keeping ("resumed from checkpoint-120").
  virtual void on_note(const std::string& text) = 0;
  /// What the steps of this process took on every rank of the job; at the end, also of a run that was stopped.
  virtual void on_usage(const std::vector<RankUsage>& ranks) { static_cast<void>(ranks); }
};

}  // namespace meshfold::jobs
