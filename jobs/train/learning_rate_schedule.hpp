#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace meshfold::jobs {

/// How the learning rate goes on after the warm-up.
enum class LearningRateCurve {
  kConstant,
  kLinear,          ///< to 0
  kCosine,          ///< along cosine waves, half a wave by default
  kCosineRestarts,  ///< half waves that start anew from the peak
  kPolynomial,      ///< to end_ratio
  kTable,           ///< one factor per epoch
  kRampHoldDecay,   ///< rises, stays and decays from epoch to epoch
};

struct LearningRateSchedule {
  LearningRateCurve kind = LearningRateCurve::kLinear;
  /// Share of the run's steps, rounded up. kTable and kRampHoldDecay have no warm-up: they say it all themselves.
  double warmup_ratio = 0.1;
  std::optional<int> warmup_steps;   ///< instead of warmup_ratio
  std::optional<double> num_cycles;  ///< waves of kCosine (default 0.5), half waves of kCosineRestarts (default 1)
  double power = 1.0;                ///< kPolynomial
  double end_ratio = 0.0;            ///< kPolynomial: the last factor; kRampHoldDecay: what the decay tends to
  std::vector<double> table;         ///< kTable: factor of each epoch
  double ramp_start = 0.1;           ///< kRampHoldDecay: factor of the first epoch
  int ramp_epochs = 2, hold_epochs = 0;
  double decay = 0.8;  ///< kRampHoldDecay: what is above end_ratio shrinks by it every epoch
};

/// The steps that a schedule is laid over.
struct TrainingLength {
  std::int64_t num_steps = 0;
  std::int64_t steps_per_epoch = 0;  ///< only kTable and kRampHoldDecay ask for it
};

/// Factor on the learning rate at optimizer step `step` (from 0). After a warm-up from 0 to 1: transformers'
/// get_linear_, get_cosine_, get_cosine_with_hard_restarts_, get_polynomial_decay_ and
/// get_constant_schedule_with_warmup. kRampHoldDecay is the learning-rate function of Keras notebooks: linear from
/// ramp_start to 1 over ramp_epochs, 1 for hold_epochs, then (1 - end_ratio) decay^k + end_ratio.
double learning_rate_factor(const LearningRateSchedule& config, std::int64_t step, const TrainingLength& span);

/// Steps of the warm-up; 0 for kinds without one.
std::int64_t warmup_steps_of(const LearningRateSchedule& config, std::int64_t num_steps);

/// The learning rate in a run's first and last step, and its largest.
struct RateSpan {
  double first = 0, peak = 0, last = 0;
};
RateSpan rate_span(const LearningRateSchedule& config, double learning_rate, const TrainingLength& span);

/// "cosine, 0.5 cycles, warm-up 20 steps; 2e-06 in the first step, peak 2e-05, 0 in the last", for people.
std::string describe(const LearningRateSchedule& config, double learning_rate, const TrainingLength& span);

}  // namespace meshfold::jobs
