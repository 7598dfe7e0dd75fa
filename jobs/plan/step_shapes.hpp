#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "data/dataset.hpp"
#include "jobs/config/run_config.hpp"
#include "jobs/run/job.hpp"
#include "models/networks/backbone.hpp"

namespace meshfold::jobs {

/// What decides the cost of a pack.
struct PackShape {
  std::int64_t tokens = 0;
  std::int64_t inputs = 0;   ///< texts
  std::int64_t longest = 0;  ///< tokens of the longest input
  std::int64_t slots = 0;    ///< of relative embeddings that the pack touches; 0 in models without them
};

/// Calls `visit` with the packs of every step of a job, in order, as the trainer will cut them into `parts` a step.
/// Reads row lengths alone.
void for_each_step(const RunConfig& config, const JobPlan& job, const data::Dataset& dataset,
                   const models::Backbone& backbone, int parts,
                   const std::function<void(std::span<const PackShape>)>& visit);

}  // namespace meshfold::jobs
