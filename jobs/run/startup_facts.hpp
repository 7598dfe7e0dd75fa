#pragma once

#include <string>
#include <utility>
#include <vector>

#include "dist/mesh.hpp"
#include "jobs/config/run_config.hpp"
#include "jobs/prepare/dataset_cache.hpp"
#include "jobs/report/run_notes.hpp"
#include "jobs/run/job_setup.hpp"
#include "models/directory/load_model.hpp"
#include "models/networks/model.hpp"

namespace meshfold::jobs {

using Facts = std::vector<std::pair<std::string, std::string>>;

/// "4 on 1 machine (nodeA)", "2 a rank", which ranks may run on which cores, and what they compute on.
Facts machine_facts(const Placement& placement, const dist::GroupMaker& groups);

/// Rows, targets, tokens, where the tokenized file is and whether it was there already.
std::string describe(const PreparedDataset& dataset, const std::string& table);

/// Model, what was left out and initialised on loading, parameter groups, precision.
Facts model_facts(const RunConfig& config, const models::LoadedModel& loaded);

/// Steps, batch and packs of jobs with `num_rows` training rows on `data_ranks` ranks, and the optimizer.
Facts step_facts(const RunConfig& config, const data::Dataset& dataset, std::size_t num_rows,
                 const dist::MeshShape& shape);

/// What the report will need of a run's start.
RunNotes start_notes(const std::string& command, const RunConfig& config, const models::HeadConfig& head,
                     const Facts& facts, const data::Dataset& training);

}  // namespace meshfold::jobs
