#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "dist/cpu.hpp"
#include "dist/mesh.hpp"
#include "jobs/config/run_config.hpp"
#include "jobs/prepare/dataset_cache.hpp"
#include "jobs/results/job_result.hpp"
#include "jobs/run/run_environment.hpp"
#include "models/directory/load_model.hpp"
#include "models/networks/model.hpp"

namespace meshfold::jobs {

/// The cores that each rank of the world may run on and the threads it computes with, by rank.
struct Placement {
  std::vector<dist::RankCores> ranks;
  std::vector<int> threads;
};

/// Where the ranks of `world` are: their cores, and run.threads or the cores they may use over the ranks that share
/// them. Collective.
Placement find_placement(const RunConfig& config, dist::ProcessGroup& world, const std::string& host);

/// Sets LibTorch's threads of this rank: run.threads, or the cores it may use over the ranks that share them. Warns if
/// there are more ranks than cores. Collective over the world.
Placement set_threads(const RunConfig& config, RunEnvironment& environment);

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

/// The head that the config asks for on this data; labels are the targets, or (classification) the class names.
/// Features have no statistics yet: those are a job's own. ConfigError unless loss.class_weights is empty or has one
/// value a class, and cv.metric is one of the head's scores.
models::HeadConfig head_of(const RunConfig& config, const PreparedDataset& prepared);

/// ConfigError unless the dataset has the texts and features that the head reads, in its order.
void check_inputs(const RunConfig& config, const models::HeadConfig& head, const data::Dataset& dataset);

/// The first pipeline and tensor rank's part of a model, to look at without computing with it.
models::ModelLayout first_part(const RunConfig& config, const dist::MeshShape& shape);
/// This rank's part of a model.
models::ModelLayout layout_of(const RunConfig& config, const dist::Mesh& mesh);

models::LoadOptions load_options_of(const RunConfig& config, const models::HeadConfig& head, int fold,
                                    const models::ModelLayout& layout);

/// Overwrites the model's parameters with those of `<job_directory>/checkpoint-<step>` and refreshes its compute
/// copies. Collective over the mesh; CheckpointError.
void load_checkpoint_weights(const std::filesystem::path& job_directory, std::int64_t step, models::Model& model,
                             const dist::Mesh& mesh);

/// A finished job's model: architecture and tokenizer of the directory that training began from, weights of the
/// selected checkpoint; this rank's part of it. Collective over the mesh.
std::unique_ptr<models::Model> load_finished_model(const RunConfig& config, const std::filesystem::path& run,
                                                   const JobRecord& record, const dist::Mesh& mesh);

}  // namespace meshfold::jobs
