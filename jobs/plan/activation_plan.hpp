#pragma once

#include <cstdint>
#include <span>

#include "jobs/plan/rank_geometry.hpp"
#include "jobs/plan/step_shapes.hpp"
#include "jobs/train/pipeline_schedule.hpp"

namespace meshfold::jobs {

/// Bytes at the moment of a step when a rank holds most beside what it keeps from step to step.
struct StepPeak {
  std::int64_t activations = 0;  ///< kept for backward, of all packs that are under way
  std::int64_t working = 0;      ///< inputs, outputs and gradients of the block that is computed
  std::int64_t total() const { return activations + working; }
};

/// Runs a step's table on the packs of the rank's data rank and counts what the host back ends of models/ops keep and
/// make (kernels' own scratch is no tensor). `schedule`: of the mesh's pipeline.
StepPeak step_peak(const RankGeometry& rank, const PipelineSchedule& schedule, std::span<const PackShape> packs);

}  // namespace meshfold::jobs
