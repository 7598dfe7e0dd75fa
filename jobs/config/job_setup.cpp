#include "jobs/config/job_setup.hpp"

#include <algorithm>
#include <utility>

#include "dist/communicator.hpp"
#include "jobs/error.hpp"

namespace meshfold::jobs {

dist::MeshShape mesh_shape(const MeshSection& mesh, int ranks) {
  dist::MeshShape shape{std::max(mesh.data, 1), std::max(mesh.pipeline, 1), std::max(mesh.tensor, 1)};
  const int given = shape.size();
  const bool has_auto = mesh.data == 0 || mesh.pipeline == 0 || mesh.tensor == 0;
  if (has_auto && ranks % given == 0) {
    (mesh.data == 0 ? shape.data : mesh.pipeline == 0 ? shape.pipeline : shape.tensor) = ranks / given;
  }
  if (shape.size() != ranks) {
    throw ConfigError("the mesh is " + shape.to_string() + (has_auto ? " (one axis auto)" : "") + ", but a job has " +
                      std::to_string(ranks) +
                      " ranks; set mesh.data = auto, or change mesh.tensor, the number of ranks or cv.groups");
  }
  return shape;
}

dist::Mesh make_mesh(const RunConfig& config, const dist::GroupMaker& groups,
                     std::shared_ptr<dist::Communicator> communicator, const std::string& name) {
  const dist::MeshShape shape = mesh_shape(config.mesh, communicator->size());
  return {std::move(communicator), shape, name, config.run.check_calls ? dist::CallChecks::kOn : dist::CallChecks::kOff,
          groups};
}

models::ModelLayout first_part(const RunConfig& config, const dist::MeshShape& shape) {
  return {config.layout.rules, 0, shape.tensor, nullptr, 0, shape.pipeline, config.pipeline.stages};
}

models::ModelLayout layout_of(const RunConfig& config, const dist::Mesh& mesh) {
  const dist::MeshCoordinates& place = mesh.coordinates();
  models::ModelLayout layout{config.layout.rules, place.tensor,          mesh.shape().tensor,   &mesh.tensor(),
                             place.pipeline,      mesh.shape().pipeline, config.pipeline.stages};
  layout.device = mesh.device();
  return layout;
}

RunConfig config_of_job(const RunConfig& run, const JobId& job) {
  RunConfig config = run;
  config.run.seed = job_seed(run.run.seed, job);
  return config;
}

models::LoadOptions load_options_of(const RunConfig& config, const models::HeadConfig& head,
                                    const models::ModelLayout& layout) {
  models::LoadOptions options;
  options.layout = layout;
  options.head = head;
  options.dropout = config.model.dropout;
  options.compute_type = config.precision == Precision::kBf16 ? at::kBFloat16 : at::kFloat;
  options.seed = config.run.seed;
  options.recompute = config.training.recompute;
  options.rates = config.layer_rates;
  options.reinit_layers = config.model.reinit_layers;
  return options;
}

void check_length(const RunConfig& config, const models::Model& model) {
  if (config.tokenizer.max_length <= model.max_positions()) return;
  throw ConfigError("tokenizer.max_length = " + std::to_string(config.tokenizer.max_length) + ", but " +
                    config.model.path + " has positions for " + std::to_string(model.max_positions()) +
                    " tokens; lower it");
}

}  // namespace meshfold::jobs
