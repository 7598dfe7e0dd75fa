#pragma once

#include <memory>
#include <string>

#include "dist/mesh.hpp"
#include "jobs/config/run_config.hpp"
#include "jobs/job_id.hpp"
#include "models/directory/load_model.hpp"
#include "models/networks/model.hpp"

namespace meshfold::jobs {

// What a config asks of a job's mesh and model.

/// The mesh of a job of `ranks` ranks; an axis that is auto takes what the others leave. ConfigError if the product
/// cannot be `ranks`.
dist::MeshShape mesh_shape(const MeshSection& mesh, int ranks);

/// The mesh of a job. Collective over `communicator`.
dist::Mesh make_mesh(const RunConfig& config, const dist::GroupMaker& groups,
                     std::shared_ptr<dist::Communicator> communicator, const std::string& name);

/// The first pipeline and tensor rank's part of a model, to look at without computing with it.
models::ModelLayout first_part(const RunConfig& config, const dist::MeshShape& shape);
/// This rank's part of a model.
models::ModelLayout layout_of(const RunConfig& config, const dist::Mesh& mesh);

/// The config of one job: the run's, with the job's own seed.
RunConfig config_of_job(const RunConfig& run, const JobId& job);

/// How a job's model is loaded; `config` is the job's own, for its seed draws the tensors that no file has.
models::LoadOptions load_options_of(const RunConfig& config, const models::HeadConfig& head,
                                    const models::ModelLayout& layout);

/// ConfigError if tokenizer.max_length exceeds what the model has positions for.
void check_length(const RunConfig& config, const models::Model& model);

}  // namespace meshfold::jobs
