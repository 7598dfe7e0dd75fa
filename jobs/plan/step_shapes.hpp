#pragma once

#include <functional>
#include <span>

#include "data/dataset.hpp"
#include "jobs/config/run_config.hpp"
#include "jobs/run/job.hpp"
#include "models/context/pack_shape.hpp"
#include "models/networks/backbone.hpp"

namespace meshfold::jobs {

/// Calls `visit` with the packs of every step of a job, in order, as the trainer will cut them into `parts` a step.
/// Reads row lengths alone.
void for_each_step(const RunConfig& config, const JobPlan& job, const data::Dataset& dataset,
                   const models::Backbone& backbone, int parts,
                   const std::function<void(std::span<const models::PackShape>)>& visit);

}  // namespace meshfold::jobs
