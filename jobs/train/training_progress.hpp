#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include "jobs/scores/metrics.hpp"
#include "jobs/train/early_stopping.hpp"
#include "jobs/train/plateau_decay.hpp"

namespace meshfold::jobs {

/// What must be the same for a checkpoint to be continued.
struct TrainingIdentity {
  std::string config_hash;  ///< data and training keys
  std::string data_hash;    ///< the dataset's source
  std::string rows_hash;    ///< training and validation rows, in order
  std::uint32_t seed = 0;
  std::int64_t num_steps = 0;  ///< follows from the others, unless a change of the epochs was accepted; so not compared

  bool operator==(const TrainingIdentity& other) const {
    return config_hash == other.config_hash && data_hash == other.data_hash && rows_hash == other.rows_hash &&
           seed == other.seed;
  }
};

/// Hex XXH3-128 of two lists of rows.
std::string hash_rows(const std::vector<std::uint32_t>& training, const std::vector<std::uint32_t>& validation);

/// How far a training run is: with weights and moments, all that continuing needs. Equal on every rank.
struct TrainingProgress {
  std::int64_t step = 0;            ///< optimizer steps done
  std::int64_t cursor = 0;          ///< samples done since the start
  std::int64_t evaluated_step = 0;  ///< the step of the last evaluation; 0: none yet
  std::int64_t best_step = 0;
  Scores best_scores, last_scores;
  EarlyStopping::State early_stopping;
  PlateauDecay::State plateau;
  bool stopped_early = false;
  double seconds = 0.0;  ///< spent on these steps and their evaluations, over all processes that worked on them
};

/// The `state` of a checkpoint. `parts` and `data_ranks` tell how it was made; a resumed run may have others.
nlohmann::json to_state(const TrainingProgress& progress, const TrainingIdentity& identity, std::int64_t num_updates,
                        std::int64_t steps_per_epoch, int parts, int data_ranks);

struct ResumedState {
  TrainingProgress progress;
  std::int64_t num_updates = 0;
  int parts = 0, data_ranks = 0;
};
/// Throws ConfigError, naming what differs, if the checkpoint belongs to another run; CheckpointError if the state
/// lacks something. `checkpoint` is for messages.
ResumedState from_state(const nlohmann::json& state, const TrainingIdentity& identity, const std::string& checkpoint);

}  // namespace meshfold::jobs
