#include "jobs/train/plateau_decay.hpp"

#include <algorithm>
#include <cmath>

namespace meshfold::jobs {

bool PlateauDecay::improves(double score) const {
  if (!state_.best) return !std::isnan(score);
  return better_ == Better::kLarger ? score > *state_.best * (1.0 + config_.threshold)
                                    : score < *state_.best * (1.0 - config_.threshold);
}

bool PlateauDecay::observe(double score) {
  if (!config_.patience) return false;
  if (improves(score)) {
    state_.best = score;
    state_.num_bad = 0;
  } else {
    ++state_.num_bad;
  }
  if (state_.cooldown > 0) {
    --state_.cooldown;
    state_.num_bad = 0;
  }
  if (state_.num_bad <= *config_.patience) return false;
  const double before = state_.factor;
  state_.factor = std::max(state_.factor * config_.factor, config_.min_ratio);
  state_.cooldown = config_.cooldown;
  state_.num_bad = 0;
  return state_.factor < before;
}

}  // namespace meshfold::jobs
