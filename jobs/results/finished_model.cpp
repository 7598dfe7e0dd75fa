#include "jobs/results/finished_model.hpp"

#include "dist/agreement.hpp"
#include "jobs/checkpoint/store.hpp"
#include "jobs/config/job_setup.hpp"
#include "jobs/train/state_pieces.hpp"
#include "models/directory/load_model.hpp"

namespace meshfold::jobs {
namespace {

namespace fs = std::filesystem;

/// Overwrites the model's parameters with those of `<job_directory>/checkpoint-<step>` and refreshes its compute
/// copies. Collective over the mesh; CheckpointError.
void load_checkpoint_weights(const fs::path& job_directory, std::int64_t step, models::Model& model,
                             const dist::Mesh& mesh) {
  const models::ParameterStore& store = model.parameters();
  checkpoint::Store checkpoints(job_directory, mesh.all());
  checkpoints.find(step);  // verifies before anything is overwritten
  checkpoints.load(step, pieces_of("model/", store, whole_range(store), store.flat(), HeldBy::kAllDataRanks, mesh),
                   checkpoint::Store::Names::kSubset);
  model.parameters().refresh_compute_copies();
}

}  // namespace

std::unique_ptr<models::Model> load_finished_model(const RunConfig& config, const fs::path& run,
                                                   const JobRecord& record, const dist::Mesh& mesh) {
  std::unique_ptr<models::Model> model;
  dist::agree(mesh.all(), "load the model of " + record.id.name, [&] {
    const auto source = config.model.path.empty() ? record.model_path : config.model.path;
    auto head = record.head;
    head.dropout = config.model.head_dropout;
    model = models::load_model(source, load_options_of(config_of_job(config, record.id), head, layout_of(config, mesh)))
                .model;
  });
  load_checkpoint_weights(run / record.id.name, record.selected_step, *model, mesh);
  return model;
}

}  // namespace meshfold::jobs
