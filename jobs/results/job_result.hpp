#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "jobs/job_id.hpp"
#include "jobs/scores/metric_kinds.hpp"
#include "jobs/scores/metrics.hpp"
#include "models/networks/model.hpp"

namespace meshfold::jobs {

/// What there is to know about a finished job without its predictions; enough to load its model again.
struct JobRecord {
  JobId id;
  int num_folds = 0;               ///< of the run it belongs to
  std::int64_t selected_step = 0;  ///< whose checkpoint made the predictions
  std::int64_t steps = 0;
  std::int64_t samples_trained = 0;
  std::size_t training_samples = 0;
  double seconds = 0;                ///< training and evaluation of the process that finished it
  double samples_per_s = 0;          ///< of the training steps alone
  Scores scores;                     ///< of the selected checkpoint on the validation rows; empty without
  Scores last_scores;                ///< of the last epoch
  Better better = Better::kSmaller;  ///< of the first score
  models::HeadConfig head;
  std::string model_path;  ///< the directory training began from: architecture and tokenizer
};

/// A finished job with everything that its predictions are made of.
struct JobResult {
  JobRecord record;
  std::vector<std::uint32_t> rows;    ///< validation rows, ascending
  at::Tensor validation_predictions;  ///< [rows, C] fp32: values or logits
  at::Tensor test_predictions;        ///< [test rows, C] fp32; undefined without a test table
};

/// What a result was made from; a result of other data, folds or settings is not this run's.
struct ResultOrigin {
  std::string config_hash, data_hash, folds_hash, test_hash;
};

/// Commits `<job_directory>/result.safetensors`, then `done.json` (written last: temporary name, sync, rename) with the
/// hash of the former. A job is finished when done.json is there and verifies. One rank. Throws StorageError.
void commit_result(const std::filesystem::path& job_directory, const JobResult& result, const ResultOrigin& origin);

/// The record of a finished job from done.json alone; nullopt if the job has not finished. CheckpointError if the file
/// cannot be read as one.
std::optional<JobRecord> read_record(const std::filesystem::path& job_directory);

/// The verified result. nullopt if the job has not finished, or its result file is damaged or of another test table
/// (then `note` says so, and the job is to be run again: its checkpoints make that quick). ConfigError if config,
/// training data or folds were others.
std::optional<JobResult> read_result(const std::filesystem::path& job_directory, const ResultOrigin& origin,
                                     std::string& note);

}  // namespace meshfold::jobs
