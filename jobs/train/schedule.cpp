#include "jobs/train/schedule.hpp"

#include <algorithm>
#include <cmath>

namespace meshfold::jobs {

double schedule_factor(const ScheduleConfig& config, std::int64_t step, std::int64_t num_steps) {
  const auto warmup = static_cast<std::int64_t>(std::ceil(static_cast<double>(num_steps) * config.warmup_ratio));
  if (step < warmup) return static_cast<double>(step) / static_cast<double>(std::max<std::int64_t>(1, warmup));
  if (config.kind == ScheduleKind::kConstant) return 1.0;
  return std::max(
      0.0, static_cast<double>(num_steps - step) / static_cast<double>(std::max<std::int64_t>(1, num_steps - warmup)));
}

}  // namespace meshfold::jobs
