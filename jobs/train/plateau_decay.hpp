#pragma once

#include <optional>

#include "jobs/train/early_stopping.hpp"

namespace meshfold::jobs {

struct PlateauConfig {
  std::optional<int> patience;  ///< evaluations without improvement that are borne; none: the learning rate stays
  double factor = 0.1;
  double threshold = 1e-4;  ///< relative: a smaller gain is none
  int cooldown = 0;         ///< evaluations after a reduction that do not count
  double min_ratio = 0.0;   ///< the total factor never falls below
};

/// Lowers the learning rate when a score stops improving: torch.optim.lr_scheduler.ReduceLROnPlateau with
/// threshold_mode = rel. Its factor multiplies the schedule's.
class PlateauDecay {
 public:
  struct State {
    double factor = 1.0;
    std::optional<double> best;
    int num_bad = 0, cooldown = 0;
    bool operator==(const State&) const = default;
  };

  PlateauDecay(const PlateauConfig& config, Better better) : PlateauDecay(config, better, State()) {}
  PlateauDecay(const PlateauConfig& config, Better better, State state)
      : config_(config), better_(better), state_(state) {}

  /// Takes the score of one more evaluation (NaN: undefined, so no improvement); true if the factor fell.
  bool observe(double score);
  const State& state() const { return state_; }

 private:
  bool improves(double score) const;

  PlateauConfig config_;
  Better better_;
  State state_;
};

}  // namespace meshfold::jobs
