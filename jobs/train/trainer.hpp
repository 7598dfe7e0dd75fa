#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "data/dataset.hpp"
#include "dist/mesh.hpp"
#include "jobs/train/train_listener.hpp"
#include "jobs/train/train_settings.hpp"
#include "models/networks/model.hpp"

namespace meshfold::jobs {

/// One training run: what a fold, a trial and plain `train` have in common.
struct TrainTask {
  std::string name;                 ///< "fold-0", "train"
  std::filesystem::path directory;  ///< <run>/<name>: checkpoints live here
  std::vector<std::uint32_t> training_rows;
  std::vector<std::uint32_t> validation_rows;  ///< may be empty: then the last checkpoint is selected
  std::string config_hash;                     ///< of the data and training keys; a checkpoint of another is refused
};

struct TrainOutcome {
  bool stopped = false;        ///< a stop was requested and a checkpoint is committed
  bool stopped_early = false;  ///< training.early_stopping_patience ended it before its last step
  std::int64_t steps = 0;
  std::int64_t samples_trained = 0;
  double seconds = 0;               ///< of this process, without loading
  Scores best_scores, last_scores;  ///< on the validation rows; empty without
  std::int64_t best_step = 0;
  std::int64_t selected_step = 0;  ///< the step whose weights the model holds on return
};

/// Trains `model` on the mesh from the newest usable checkpoint of the task's directory, or from its present weights.
/// Collective over the mesh. Evaluates after every epoch (and every training.eval_every_steps), commits a checkpoint
/// then (and every checkpoint.every_steps), and on return `model` holds the selected weights (cv.select). Loss,
/// clipping and stop decisions are agreed over the mesh. `stop_requested` is asked once per step on each rank. Throws
/// BadNumbersError when loss or gradient norm is not finite.
TrainOutcome train(const TrainTask& task, const TrainSettings& settings, models::Model& model, const dist::Mesh& mesh,
                   const data::Dataset& dataset, TrainListener& listener, const std::function<bool()>& stop_requested);

}  // namespace meshfold::jobs
