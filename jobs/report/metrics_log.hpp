#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "jobs/train/train_listener.hpp"

namespace meshfold::jobs {

/// Appends `<job>/metrics.jsonl`: one JSON object a line (docs/file-formats.md): kind (train, eval, note, fold, run), time (ISO 8601, UTC), fold, step,
/// epoch, samples, loss, learning_rate, grad_norm, tokens_per_s, samples_per_s, metrics by name. Written by the job's first rank alone.
/// On resume, lines of steps after `resume_step` were of an attempt that was lost and are dropped (the file is rewritten atomically).
class MetricsLog final : public TrainListener {
 public:
  /// `fold` < 0: not a fold. Train lines are written every `every_steps` steps and at the last one.
  MetricsLog(const std::filesystem::path& job_directory, int fold, int every_steps);
  void discard_after(std::int64_t resume_step);

  void on_step(const StepReport& report) override;
  void on_evaluation(const EvaluationReport& report) override;
  void on_note(const std::string& text) override;

 private:
  void write(const std::string& line);
  std::filesystem::path file_;
  int fold_;
  int every_steps_;
  std::ofstream stream_;
};

/// The newest train or eval state of a job, from its metrics.jsonl; nullopt if there is none yet. A torn last line is ignored.
struct JobProgress {
  std::int64_t step = 0, num_steps = 0;
  double loss = 0, samples_per_s = 0;
  Scores scores;  ///< of the last evaluation
};
std::optional<JobProgress> read_progress(const std::filesystem::path& job_directory);

}  // namespace meshfold::jobs
