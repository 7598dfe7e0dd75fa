#include "jobs/cv/job_setup.hpp"

#include <ATen/Parallel.h>

#include <algorithm>

#include "dist/agreement.hpp"
#include "dist/cpu.hpp"
#include "jobs/checkpoint/box.hpp"
#include "jobs/checkpoint/store.hpp"
#include "jobs/error.hpp"

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

}  // namespace

int set_threads(const RunConfig& config, const dist::Environment& mpi) {
  const int threads =
      config.run.threads > 0 ? config.run.threads : dist::threads_per_rank(dist::usable_cores(), mpi.local_size());
  at::set_num_threads(threads);
  return threads;
}

void check_mesh(const MeshSection& mesh, const std::vector<int>& job_ranks) {
  if (mesh.pipeline > 1 || mesh.tensor > 1) {
    throw ConfigError("mesh.pipeline = " + std::to_string(mesh.pipeline) + ", mesh.tensor = " +
                      std::to_string(mesh.tensor) + ": only the data axis is available for now; set both to 1");
  }
  if (mesh.data == 0) return;
  for (const int ranks : job_ranks) {
    if (ranks != mesh.data) {
      throw ConfigError("mesh.data = " + std::to_string(mesh.data) + " but a job has " + std::to_string(ranks) +
                        " ranks; set mesh.data = 0 (all ranks of the job), or change the number of ranks or cv.groups");
    }
  }
}

models::HeadConfig head_of(const RunConfig& config, const PreparedDataset& prepared) {
  models::HeadConfig head;
  head.task = config.model.task;
  head.pooling = config.model.pooling;
  head.labels = head.task == models::Task::kClassification ? prepared.class_names : config.data.targets;
  head.dropout = config.model.head_dropout;
  head.views = prepared.dataset.views_per_sample();
  for (const auto& name : config.data.features) head.features.push_back({name});
  check_class_weights(config, head);
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

models::LoadOptions load_options_of(const RunConfig& config, const models::HeadConfig& head, int fold) {
  models::LoadOptions options;
  options.head = head;
  options.dropout = config.model.dropout;
  options.compute_type = config.precision == Precision::kBf16 ? at::kBFloat16 : at::kFloat;
  options.seed = job_seed(config.run.seed, fold);
  return options;
}

void load_checkpoint_weights(const fs::path& job_directory, std::int64_t step, models::Model& model,
                             dist::ProcessGroup& group) {
  std::vector<checkpoint::Piece> pieces;
  for (const auto& parameter : model.parameters()) {
    const auto& spec = parameter.spec;
    const auto box = spec.box.extent.empty() ? checkpoint::whole_box(spec.global_shape) : spec.box;
    pieces.push_back({"model/" + spec.name, spec.global_shape, box, parameter.view.value});
  }
  checkpoint::Store store(job_directory, group);
  store.find(step);  // verifies before anything is overwritten
  store.load(step, pieces, checkpoint::Store::Names::kSubset);
  model.parameters().refresh_compute_copies();
}

std::unique_ptr<models::Model> load_finished_model(const RunConfig& config, const fs::path& run,
                                                   const JobRecord& record, dist::ProcessGroup& group) {
  std::unique_ptr<models::Model> model;
  dist::agree(group, "load the model of " + record.name, [&] {
    const auto source = config.model.path.empty() ? record.model_path : config.model.path;
    auto head = record.head;
    head.dropout = config.model.head_dropout;
    model = models::load_model(source, load_options_of(config, head, record.fold)).model;
  });
  load_checkpoint_weights(run / record.name, record.selected_step, *model, group);
  return model;
}

}  // namespace meshfold::jobs
