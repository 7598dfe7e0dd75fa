#pragma once

#include <optional>

#include "jobs/scores/metric_kinds.hpp"

namespace meshfold::jobs {

struct EarlyStoppingConfig {
  int patience = 0;        ///< evaluations without improvement after which training ends; 0: never
  double min_delta = 0.0;  ///< a smaller gain is none
};

/// Tells when a score has not improved for long. All that it knows is its state, so that a resumed run decides alike.
class EarlyStopping {
 public:
  struct State {
    std::optional<double> best;
    int num_bad = 0;  ///< evaluations since the best
    bool operator==(const State&) const = default;
  };

  EarlyStopping(const EarlyStoppingConfig& config, Better better) : EarlyStopping(config, better, State()) {}
  EarlyStopping(const EarlyStoppingConfig& config, Better better, State state)
      : config_(config), better_(better), state_(state) {}

  /// Takes the score of one more evaluation (NaN: undefined, so no improvement); true if training should end.
  bool observe(double score);
  const State& state() const { return state_; }

 private:
  EarlyStoppingConfig config_;
  Better better_;
  State state_;
};

}  // namespace meshfold::jobs
