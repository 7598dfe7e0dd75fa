#pragma once

#include <filesystem>
#include <memory>

#include "dist/mesh.hpp"
#include "jobs/config/run_config.hpp"
#include "jobs/results/job_result.hpp"
#include "models/networks/model.hpp"

namespace meshfold::jobs {

/// A finished job's model: architecture and tokenizer of the directory that training began from, weights of the
/// selected checkpoint; this rank's part of it. Collective over the mesh; CheckpointError.
std::unique_ptr<models::Model> load_finished_model(const RunConfig& config, const std::filesystem::path& run,
                                                   const JobRecord& record, const dist::Mesh& mesh);

}  // namespace meshfold::jobs
