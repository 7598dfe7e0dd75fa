#include "jobs/train/learning_rate_schedule.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/text.hpp"

namespace meshfold::jobs {
namespace {

bool goes_by_epochs(LearningRateCurve kind) {
  return kind == LearningRateCurve::kTable || kind == LearningRateCurve::kRampHoldDecay;
}

double num_cycles_of(const LearningRateSchedule& config) {
  return config.num_cycles.value_or(config.kind == LearningRateCurve::kCosine ? 0.5 : 1.0);
}

double of_table(const LearningRateSchedule& config, std::int64_t epoch) {
  if (config.table.empty()) return 1.0;
  return config.table[static_cast<std::size_t>(
      std::min<std::int64_t>(epoch, static_cast<std::int64_t>(config.table.size()) - 1))];
}

double of_ramp_hold_decay(const LearningRateSchedule& config, std::int64_t epoch) {
  if (epoch < config.ramp_epochs) {
    return config.ramp_start +
           (1.0 - config.ramp_start) * static_cast<double>(epoch) / static_cast<double>(config.ramp_epochs);
  }
  const auto decays = static_cast<double>(std::max<std::int64_t>(0, epoch - config.ramp_epochs - config.hold_epochs));
  return (1.0 - config.end_ratio) * std::pow(config.decay, decays) + config.end_ratio;
}

double after_warmup(const LearningRateSchedule& config, std::int64_t step, std::int64_t warmup,
                    std::int64_t num_steps) {
  const auto decay_steps = static_cast<double>(std::max<std::int64_t>(1, num_steps - warmup));
  const double progress = static_cast<double>(step - warmup) / decay_steps;
  switch (config.kind) {
    case LearningRateCurve::kLinear:
      return std::max(0.0, static_cast<double>(num_steps - step) / decay_steps);
    case LearningRateCurve::kCosine:
      return std::max(0.0, 0.5 * (1.0 + std::cos(std::numbers::pi * num_cycles_of(config) * 2.0 * progress)));
    case LearningRateCurve::kCosineRestarts:
      if (progress >= 1.0) return 0.0;
      return std::max(0.0, 0.5 * (1.0 + std::cos(std::numbers::pi * std::fmod(num_cycles_of(config) * progress, 1.0))));
    case LearningRateCurve::kPolynomial:
      if (step > num_steps) return config.end_ratio;
      return (1.0 - config.end_ratio) * std::pow(1.0 - progress, config.power) + config.end_ratio;
    default:
      return 1.0;
  }
}

std::string name_of(const LearningRateSchedule& config) {
  switch (config.kind) {
    case LearningRateCurve::kConstant:
      return "constant";
    case LearningRateCurve::kLinear:
      return "linear";
    case LearningRateCurve::kCosine:
      return "cosine, " + base::format("%g", num_cycles_of(config)) + " cycles";
    case LearningRateCurve::kCosineRestarts:
      return "cosine with restarts, " + base::format("%g", num_cycles_of(config)) + " cycles";
    case LearningRateCurve::kPolynomial:
      return "polynomial of power " + base::format("%g", config.power);
    case LearningRateCurve::kTable:
      return "table of " + std::to_string(config.table.size()) + " epochs";
    case LearningRateCurve::kRampHoldDecay:
      return "ramp " + std::to_string(config.ramp_epochs) + ", hold " + std::to_string(config.hold_epochs) +
             " epochs, decay " + base::format("%g", config.decay);
  }
  return "";
}

}  // namespace

std::int64_t warmup_steps_of(const LearningRateSchedule& config, std::int64_t num_steps) {
  if (goes_by_epochs(config.kind)) return 0;
  if (config.warmup_steps) return *config.warmup_steps;
  return static_cast<std::int64_t>(std::ceil(static_cast<double>(num_steps) * config.warmup_ratio));
}

double learning_rate_factor(const LearningRateSchedule& config, std::int64_t step, const TrainingLength& span) {
  const std::int64_t epoch = step / std::max<std::int64_t>(1, span.steps_per_epoch);
  if (config.kind == LearningRateCurve::kTable) return of_table(config, epoch);
  if (config.kind == LearningRateCurve::kRampHoldDecay) return of_ramp_hold_decay(config, epoch);
  const std::int64_t warmup = warmup_steps_of(config, span.num_steps);
  if (step < warmup) return static_cast<double>(step) / static_cast<double>(std::max<std::int64_t>(1, warmup));
  return after_warmup(config, step, warmup, span.num_steps);
}

RateSpan rate_span(const LearningRateSchedule& config, double learning_rate, const TrainingLength& span) {
  const auto rate = [&](std::int64_t step) { return learning_rate * learning_rate_factor(config, step, span); };
  RateSpan rates{rate(0), 0.0, rate(span.num_steps - 1)};
  for (std::int64_t step = 0; step < span.num_steps; ++step) rates.peak = std::max(rates.peak, rate(step));
  return rates;
}

std::string describe(const LearningRateSchedule& config, double learning_rate, const TrainingLength& span) {
  const RateSpan rates = rate_span(config, learning_rate, span);
  const std::int64_t warmup = warmup_steps_of(config, span.num_steps);
  return name_of(config) + (warmup > 0 ? ", warm-up " + std::to_string(warmup) + " steps" : "") + "; learning rate " +
         base::format("%.4g", rates.first) + " in the first step, " + base::format("%.4g", rates.peak) +
         " at its peak, " + base::format("%.4g", rates.last) + " in the last";
}

}  // namespace meshfold::jobs
