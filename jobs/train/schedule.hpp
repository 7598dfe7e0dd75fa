#pragma once

#include <cstdint>

namespace meshfold::jobs {

enum class ScheduleKind { kConstant, kLinear };

struct ScheduleConfig {
  ScheduleKind kind = ScheduleKind::kLinear;
  double warmup_ratio = 0.1;  ///< share of the run's steps; warm-up steps are rounded up, as transformers does
};

/// Factor on the learning rate at optimizer step `step` (from 0) of `num_steps`: step / warmup while warming up, then
/// linearly from 1 to 0 (transformers' get_linear_schedule_with_warmup).
double schedule_factor(const ScheduleConfig& config, std::int64_t step, std::int64_t num_steps);

}  // namespace meshfold::jobs
