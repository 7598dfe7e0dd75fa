#include "jobs/run/job_setup.hpp"

#include <ATen/Parallel.h>

#include <algorithm>
#include <utility>

#include "dist/agreement.hpp"
#include "dist/communicator.hpp"
#include "dist/mpi_process_group.hpp"
#include "jobs/checkpoint/store.hpp"
#include "jobs/error.hpp"
#include "jobs/train/state_pieces.hpp"
#include "models/directory/load_model.hpp"

namespace meshfold::jobs {
namespace fs = std::filesystem;

namespace {

void check_class_weights(const RunConfig& config, const models::HeadConfig& head) {
  const auto num_weights = config.loss.class_weights.size();
  if (num_weights == 0 || num_weights == head.labels.size()) return;
  std::string names;
  for (const auto& label : head.labels) names += (names.empty() ? "" : ", ") + label;
  throw ConfigError("loss.class_weights has " + std::to_string(num_weights) + " values, but there are " +
                    std::to_string(head.labels.size()) + " classes; give one value each, in this order: " + names);
}

void check_metric(const RunConfig& config, const models::HeadConfig& head) {
  const auto name = config.cv.metric.name_for(head.task);
  const auto fault = metric_fault(name, head.task, head.labels);
  if (!fault.empty()) throw ConfigError("cv.metric = '" + name + "' " + fault);
}

}  // namespace

Placement find_placement(const RunConfig& config, dist::ProcessGroup& world, const std::string& host) {
  Placement placement{dist::gather_cores(world, host), {}};
  for (int rank = 0; rank < world.size(); ++rank) {
    placement.threads.push_back(config.run.threads > 0 ? config.run.threads
                                                       : dist::threads_per_rank(placement.ranks, rank));
  }
  return placement;
}

Placement set_threads(const RunConfig& config, RunEnvironment& environment) {
  const auto world = dist::make_mpi_process_group(environment.mpi.world(), "world");
  Placement placement = find_placement(config, *world, environment.mpi.host_name());
  at::set_num_threads(placement.threads[static_cast<std::size_t>(world->rank())]);
  for (const auto& sentence : dist::oversubscribed(placement.ranks)) environment.console.warn(sentence);
  return placement;
}

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

models::HeadConfig head_of(const RunConfig& config, const PreparedDataset& prepared) {
  models::HeadConfig head;
  head.task = config.model.task;
  head.pooling = config.model.pooling;
  head.first_state = config.model.pooling_first_layer;
  head.layer_pooling = config.model.pooling_tokens;
  head.num_layers = config.model.pooling_layers;
  head.dropout_samples = config.model.dropout_samples;
  head.labels = head.task == models::Task::kClassification ? prepared.class_names : config.data.targets;
  head.dropout = config.model.head_dropout;
  head.views = prepared.dataset.views_per_sample();
  for (const auto& name : config.data.features) head.features.push_back({name});
  check_class_weights(config, head);
  check_metric(config, head);
  return head;
}

void check_inputs(const RunConfig& config, const models::HeadConfig& head, const data::Dataset& dataset) {
  const auto views = static_cast<std::int64_t>(dataset.views_per_sample());
  if (views != head.views) {
    throw ConfigError("the model reads " + std::to_string(head.views) + (head.views == 1 ? " text" : " texts") +
                      " a row, but data.texts and data.templates make " + std::to_string(views) +
                      "; set them as they were in training");
  }
  const auto has_name = [](const models::Feature& feature, const std::string& name) { return feature.name == name; };
  if (std::ranges::equal(head.features, config.data.features, has_name)) return;
  std::string names;
  for (const auto& feature : head.features) names += (names.empty() ? "" : ", ") + feature.name;
  throw ConfigError("the model reads " + (names.empty() ? "no features" : "the features " + names) +
                    ", in this order; set data.features " + (names.empty() ? "to nothing" : "so"));
}

models::LoadOptions load_options_of(const RunConfig& config, const models::HeadConfig& head, int fold,
                                    const models::ModelLayout& layout) {
  models::LoadOptions options;
  options.layout = layout;
  options.head = head;
  options.dropout = config.model.dropout;
  options.compute_type = config.precision == Precision::kBf16 ? at::kBFloat16 : at::kFloat;
  options.seed = job_seed(config.run.seed, fold);
  options.recompute = config.training.recompute;
  options.rates = config.layer_rates;
  options.reinit_layers = config.model.reinit_layers;
  return options;
}

void load_checkpoint_weights(const fs::path& job_directory, std::int64_t step, models::Model& model,
                             const dist::Mesh& mesh) {
  const models::ParameterStore& store = model.parameters();
  checkpoint::Store checkpoints(job_directory, mesh.all());
  checkpoints.find(step);  // verifies before anything is overwritten
  checkpoints.load(step, pieces_of("model/", store, whole_range(store), store.flat(), HeldBy::kAllDataRanks, mesh),
                   checkpoint::Store::Names::kSubset);
  model.parameters().refresh_compute_copies();
}

std::unique_ptr<models::Model> load_finished_model(const RunConfig& config, const fs::path& run,
                                                   const JobRecord& record, const dist::Mesh& mesh) {
  std::unique_ptr<models::Model> model;
  dist::agree(mesh.all(), "load the model of " + record.name, [&] {
    const auto source = config.model.path.empty() ? record.model_path : config.model.path;
    auto head = record.head;
    head.dropout = config.model.head_dropout;
    model = models::load_model(source, load_options_of(config, head, record.fold, layout_of(config, mesh))).model;
  });
  load_checkpoint_weights(run / record.name, record.selected_step, *model, mesh);
  return model;
}

}  // namespace meshfold::jobs
