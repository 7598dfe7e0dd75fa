#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "dist/mesh.hpp"
#include "jobs/config/run_config.hpp"
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

/// The seed of a job's draws (order of samples, dropout, fresh tensors): run.seed xor 0x9E3779B9 * (fold + 1), modulo
/// 2^32. Multiplying by an odd number is a bijection, so no two folds share a seed; `train` (fold -1) has run.seed
/// itself. Part of the numerics contract.
constexpr std::uint32_t job_seed(std::uint32_t run_seed, int fold) {
  return run_seed ^ (0x9E3779B9U * static_cast<std::uint32_t>(fold + 1));
}

/// The first pipeline and tensor rank's part of a model, to look at without computing with it.
models::ModelLayout first_part(const RunConfig& config, const dist::MeshShape& shape);
/// This rank's part of a model.
models::ModelLayout layout_of(const RunConfig& config, const dist::Mesh& mesh);

models::LoadOptions load_options_of(const RunConfig& config, const models::HeadConfig& head, int fold,
                                    const models::ModelLayout& layout);

/// ConfigError if tokenizer.max_length exceeds what the model has positions for.
void check_length(const RunConfig& config, const models::Model& model);

}  // namespace meshfold::jobs
