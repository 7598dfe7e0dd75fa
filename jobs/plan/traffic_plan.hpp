#pragma once

#include <cstdint>
#include <span>

#include "jobs/config/run_config.hpp"
#include "jobs/plan/rank_geometry.hpp"
#include "jobs/plan/step_shapes.hpp"
#include "models/parameters/parameter_store.hpp"

namespace meshfold::jobs {

/// Bytes that a rank sends on each axis of its mesh, as dist::ProcessGroup::bytes_sent counts them.
struct RankTraffic {
  std::int64_t data = 0, pipeline = 0, tensor = 0;
  RankTraffic& operator+=(const RankTraffic& other);
};

/// What does not depend on the packs: gradients, values and norms, in a step. `blocks_of_model`: of all stages.
RankTraffic exchange_traffic(const RankGeometry& rank, const models::ParameterStore& store, const RunConfig& config,
                             std::int64_t blocks_of_model);

/// Of one pack of the rank's data rank, forward and back; an empty pack sends marks alone.
RankTraffic pack_traffic(const RankGeometry& rank, const PackShape& pack);

}  // namespace meshfold::jobs
