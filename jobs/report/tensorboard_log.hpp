#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "jobs/train/train_listener.hpp"

namespace meshfold::jobs {

/// Writes `<job>/events.out.tfevents.<time>.<host>.<process>` for TensorBoard: `train/loss`, learning_rate, grad_norm,
/// tokens_per_s, samples_per_s every `every_steps` steps, `eval/<metric>` of each evaluation, and the config and notes
/// as texts. Each value also has the tag `<job>/train/loss` and so on: the plain tags lie over each other in one chart
/// for all folds of a run directory, the others stay apart where runs are merged. Every process writes a file of its
/// own; where it goes on from a checkpoint, it tells readers to forget the steps after that. Flushed after each entry.
/// Written by the job's first rank alone.
class TensorBoardLog final : public TrainListener {
 public:
  /// Makes the directory. Throws StorageError, as every member does when the file cannot be written.
  TensorBoardLog(const std::filesystem::path& job_directory, int every_steps, std::string config_ini);

  void on_resume(std::int64_t step) override;
  void on_step(const StepReport& report) override;
  void on_evaluation(const EvaluationReport& report) override;
  void on_note(const std::string& text) override;

 private:
  void scalar(std::int64_t step, std::string_view tag, double value);
  void text(std::int64_t step, std::string_view tag, std::string_view markdown);
  void write(const std::string& event);

  std::string prefix_;  ///< "fold-0/"
  std::filesystem::path file_;
  int every_steps_;
  std::string config_ini_;
  std::int64_t last_step_ = 0;
  std::ofstream stream_;
};

}  // namespace meshfold::jobs
