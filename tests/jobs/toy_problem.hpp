#pragma once

#include <hdf5.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <numeric>
#include <string>
#include <vector>

#include "data/dataset.hpp"
#include "data/dataset_writer.hpp"
#include "jobs/train/trainer.hpp"
#include "tests/jobs/toy_model.hpp"

namespace meshfold::tests {

/// A directory that goes with its owner.
class ScratchDirectory {
 public:
  ScratchDirectory() {
    static std::atomic<int> counter = 0;
    path_ = std::filesystem::temp_directory_path() /
            ("meshfold-test-" + std::to_string(::getpid()) + "-" + std::to_string(counter++));
    std::filesystem::create_directories(path_);
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline constexpr std::uint32_t kToyTrainingRows = 29, kToyRows = 41, kToyTargets = 3;

/// Samples of 1 to 12 tokens with three targets that depend on the tokens; the rows from kToyTrainingRows on are for
/// validation.
inline data::Dataset make_toy_dataset(const std::filesystem::path& directory, const std::string& source_hash = "toy") {
  data::DatasetPart part;
  for (std::uint32_t row = 0; row < kToyRows; ++row) {
    const std::uint32_t length = 1 + row * 7 % 12;
    float sum = 0;
    for (std::uint32_t i = 0; i < length; ++i) {
      part.tokens.push_back(static_cast<std::int32_t>((row * row + 13 * i) % ToyModel::kVocabulary));
      sum += static_cast<float>(part.tokens.back());
    }
    part.lengths.push_back(length);
    part.pair_starts.push_back(0);
    for (std::uint32_t target = 0; target < kToyTargets; ++target) {
      part.targets.push_back(std::sin(sum / static_cast<float>(length) + static_cast<float>(target)));
    }
    part.ids.push_back("id" + std::to_string(row));
  }
  data::DatasetLayout layout;
  layout.num_samples = kToyRows;
  layout.num_tokens = part.tokens.size();
  for (const std::string& id : part.ids) layout.num_id_bytes += id.size();
  layout.num_targets = kToyTargets;
  layout.attributes = {{"source_hash", source_hash}};
  const std::filesystem::path file = directory / "toy.h5";
  const hid_t file_access = H5Pcreate(H5P_FILE_ACCESS);
  data::DatasetWriter writer(file, layout, file_access);
  writer.write(part);
  writer.close();
  H5Pclose(file_access);
  return data::Dataset::open(file);
}

/// 20 steps: five epochs of batches of 8, 8, 8 and 5 samples in four packs, with decay, warm-up and a clipping bound
/// that is reached.
inline jobs::TrainSettings toy_settings() {
  jobs::TrainSettings settings;
  settings.seed = 7;
  settings.threads = 1;
  settings.optimizer.learning_rate = 0.02;
  settings.training.epochs = 5;
  settings.training.batch_size = 8;
  settings.training.parts = 4;
  settings.training.deterministic = true;
  settings.training.max_grad_norm = 0.5;
  settings.select = jobs::Select::kLast;
  settings.evaluation_tokens_per_pack = 20;
  return settings;
}

inline jobs::TrainTask toy_task(const std::filesystem::path& directory) {
  jobs::TrainTask task;
  task.name = "toy";
  task.directory = directory;
  task.training_rows.resize(kToyTrainingRows);
  std::iota(task.training_rows.begin(), task.training_rows.end(), 0U);
  task.validation_rows.resize(kToyRows - kToyTrainingRows);
  std::iota(task.validation_rows.begin(), task.validation_rows.end(), kToyTrainingRows);
  task.config_hash = "config";
  return task;
}

/// Keeps what a listener is told.
class Recorder : public jobs::TrainListener {
 public:
  void on_resume(std::int64_t step) override { resumed_step = step; }
  void on_step(const jobs::StepReport& report) override { steps.push_back(report); }
  void on_evaluation(const jobs::EvaluationReport& report) override { evaluations.push_back(report); }
  void on_note(const std::string& text) override { notes.push_back(text); }
  void on_usage(const std::vector<jobs::RankUsage>& ranks) override { usage = ranks; }

  std::int64_t resumed_step = -1;
  std::vector<jobs::StepReport> steps;
  std::vector<jobs::EvaluationReport> evaluations;
  std::vector<std::string> notes;
  std::vector<jobs::RankUsage> usage;
};

inline bool never() { return false; }

/// A stop request that comes true during step `step`, from 1, of this process.
inline std::function<bool()> stop_in_step(int step) {
  return [step, asked = 0]() mutable { return ++asked == step; };
}

struct ToyRun {
  jobs::TrainOutcome outcome;
  Recorder told;
  std::string hash;  ///< of the weights on return
};

inline ToyRun train_toy(const std::filesystem::path& directory, const jobs::TrainSettings& settings,
                        const dist::Mesh& mesh, const data::Dataset& dataset,
                        const std::function<bool()>& stop_requested = never) {
  ToyModel model(settings.seed, kToyTargets, /*dropout=*/0.25);
  ToyRun run;
  run.outcome = jobs::train(toy_task(directory), settings, model, mesh, dataset, run.told, stop_requested);
  run.hash = model.parameters().hash();
  return run;
}

}  // namespace meshfold::tests
