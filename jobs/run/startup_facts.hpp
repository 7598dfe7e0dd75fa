#pragma once

#include <string>
#include <utility>
#include <vector>

#include "dist/mesh.hpp"
#include "jobs/config/run_config.hpp"
#include "jobs/placement.hpp"
#include "jobs/report/run_notes.hpp"
#include "models/directory/load_model.hpp"
#include "models/networks/model.hpp"

namespace meshfold::jobs {

using Facts = std::vector<std::pair<std::string, std::string>>;

/// Ranks and machines ("4 on 1 machine (nodeA)"), threads per rank, the cores of each, and what they compute on.
Facts machine_facts(const Placement& placement, const dist::GroupMaker& groups);

/// Model, what was left out and initialised on loading, parameter groups, precision.
Facts model_facts(const RunConfig& config, const models::LoadedModel& loaded);

/// Steps, batch and packs of jobs with `num_rows` training rows on meshes of `shape`, the optimizer and its schedule.
Facts step_facts(const RunConfig& config, const data::Dataset& dataset, std::size_t num_rows,
                 const dist::MeshShape& shape);

/// What the report will need of a run's start.
RunNotes start_notes(const std::string& command, const RunConfig& config, const models::HeadConfig& head,
                     const Facts& facts, const data::Dataset& training);

}  // namespace meshfold::jobs
