#include "jobs/train/early_stopping.hpp"

#include <cmath>

namespace meshfold::jobs {

bool EarlyStopping::observe(double score) {
  const double gain = !state_.best ? 0.0 : better_ == Better::kLarger ? score - *state_.best : *state_.best - score;
  if (!std::isnan(score) && (!state_.best || gain > config_.min_delta)) {
    state_ = {score, 0};
  } else {
    ++state_.num_bad;
  }
  return config_.patience > 0 && state_.num_bad >= config_.patience;
}

}  // namespace meshfold::jobs
