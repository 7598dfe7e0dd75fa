#pragma once

#include "jobs/train/pipeline_schedule.hpp"

namespace meshfold::jobs {

// Published schedules that no model runs yet: they show that the table can say them and that run_pipeline executes
// them. Both throw invalid_argument for numbers that do not fit.

/// Several chunks on each stage, which divides the idle time by their number (Narayanan et al. 2021). The packs must be
/// a multiple of the stages.
PipelineSchedule interleaved_schedule(int num_stages, int num_packs, int num_chunks);

/// Weight gradients fill what would be idle (ZB-H1, Qi et al. 2023).
PipelineSchedule zero_bubble_schedule(int num_stages, int num_packs);

}  // namespace meshfold::jobs
