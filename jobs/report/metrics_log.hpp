#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "jobs/train/train_listener.hpp"

namespace meshfold::jobs {

/// Appends `<job>/metrics.jsonl`: one JSON object a line (docs/file-formats.md): kind (train, eval, note, usage), time
/// (ISO 8601, UTC), fold, step, epoch, then of a step: num_steps, samples, loss, learning_rate, grad_norm,
/// tokens_per_s, samples_per_s; of an evaluation: best, seconds, and each metric under its own name. A number that is
/// not finite is null. Written by the job's first rank alone; each line is flushed. On resume, lines of steps after
/// `resume_step` were of an attempt that was lost and are dropped (the file is rewritten atomically).
class MetricsLog final : public TrainListener {
 public:
  /// `fold` is the job's, if it is one. Train lines are written every `every_steps` steps and at the last one. Makes
  /// the directory, and drops a line that a killed process left unfinished. Throws StorageError, as every member does
  /// when a line cannot be written.
  MetricsLog(const std::filesystem::path& job_directory, std::optional<int> fold, int every_steps);
  void discard_after(std::int64_t resume_step);

  void on_step(const StepReport& report) override;
  void on_evaluation(const EvaluationReport& report) override;
  void on_note(const std::string& text) override;
  void on_usage(const std::vector<RankUsage>& ranks) override;

 private:
  void open();
  void write(const std::string& line);
  void replace_contents(const std::string& contents);
  std::filesystem::path file_;
  std::optional<int> fold_;
  int every_steps_;
  std::int64_t last_step_ = 0;  ///< notes carry the step after which they were written
  std::ofstream stream_;
};

/// Everything that a job's metrics.jsonl says of steps and evaluations, in order; empty if there is no file. Lines that
/// are no JSON object (the torn last one of a killed process) are passed over.
struct MetricsHistory {
  std::vector<StepReport> steps;
  std::vector<std::optional<std::chrono::system_clock::time_point>> step_times;  ///< [step] when it was written
  std::vector<EvaluationReport> evaluations;
};
MetricsHistory read_history(const std::filesystem::path& job_directory);

/// The newest train or eval state of a job, from the end of its metrics.jsonl; nullopt if there is none yet. A torn
/// last line is ignored.
struct JobProgress {
  std::int64_t step = 0, num_steps = 0;
  double loss = 0, samples_per_s = 0;
  Scores scores;  ///< of the last evaluation
  std::int64_t evaluated_step = 0;
};
std::optional<JobProgress> read_progress(const std::filesystem::path& job_directory);

}  // namespace meshfold::jobs
