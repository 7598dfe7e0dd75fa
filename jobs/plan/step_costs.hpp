#pragma once

#include <cstdint>
#include <span>

#include "jobs/train/exchange_layout.hpp"
#include "jobs/train/pipeline_schedule.hpp"
#include "models/networks/pipeline_stage.hpp"

namespace meshfold::jobs {

/// A pack and what it costs on a rank's stage.
struct PackCosts {
  models::PackShape shape;
  models::StageCosts stage;
};

/// Bytes at the moment of a step when a rank holds most beside what it keeps from step to step.
struct StepPeak {
  std::int64_t activations = 0;  ///< kept for backward, of all packs that are under way
  std::int64_t working = 0;      ///< inputs, outputs and gradients of the block that is computed
  std::int64_t total() const { return activations + working; }
};

/// Runs a step's table on the packs of a rank's data rank and adds up what StageWorker holds of them. `schedule`: of
/// the mesh's pipeline, on which the rank has `stage`.
StepPeak step_peak(const PipelineSchedule& schedule, int stage, std::span<const PackCosts> packs);

/// What a rank sends of one pack, forward as often as `forward_passes` and back. An empty pack sends marks alone.
AxisBytes pack_traffic(const models::PipelineStage& stage, const PackCosts& pack, int forward_passes);

}  // namespace meshfold::jobs
