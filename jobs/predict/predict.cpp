#include "jobs/predict/predict.hpp"

#include <ATen/ATen.h>

#include <filesystem>
#include <memory>

#include "dist/agreement.hpp"
#include "dist/mesh.hpp"
#include "jobs/config/job_setup.hpp"
#include "jobs/placement.hpp"
#include "jobs/prepare/dataset_cache.hpp"
#include "jobs/prepare/head.hpp"
#include "jobs/results/finished_jobs.hpp"
#include "jobs/results/finished_model.hpp"
#include "jobs/results/prediction_table.hpp"
#include "jobs/train/predict_rows.hpp"
#include "models/directory/load_model.hpp"
#include "models/networks/model.hpp"

namespace meshfold::jobs {
namespace {

namespace fs = std::filesystem;

/// What predict.output asks for, of one model's outputs. The value of a class is its probability.
at::Tensor shown(const models::HeadConfig& head, PredictOutput output, const at::Tensor& outputs) {
  return output == PredictOutput::kLogits ? outputs : to_values(head, outputs);
}

void check_output(const models::HeadConfig& head, PredictOutput output) {
  if (output == PredictOutput::kProbability && head.task == models::Task::kRegression) {
    throw ConfigError(
        "predict.output = probability needs a classification or multi-label model; this is a regression: use value");
  }
}

struct Predicted {
  models::HeadConfig head;
  at::Tensor values;  ///< [rows, C] fp32
};

/// The mean over the run's jobs; each one's weights are loaded in turn and all ranks share its rows.
Predicted predict_with_jobs(const RunConfig& config, const std::vector<JobRecord>& jobs, const data::Dataset& dataset,
                            const dist::Mesh& mesh, Console& console) {
  const auto& head = jobs.front().head;
  check_output(head, config.predict.output);
  check_inputs(config, head, dataset);
  at::Tensor sum;
  for (const auto& job : jobs) {
    console.progress("predict with " + job.id.name + ", step " + std::to_string(job.selected_step));
    const auto model = load_finished_model(config, config.run.directory, job, mesh);
    const auto outputs = predict_rows(*model, mesh, dataset, all_rows(dataset), config.predict.max_tokens_per_pack);
    const auto values = shown(head, config.predict.output, outputs).to(at::kDouble);
    sum = sum.defined() ? sum + values : values;
  }
  auto mean = (sum / static_cast<double>(jobs.size())).to(at::kFloat);
  return {head, clip_values(head, mean, config.cv.clip_min, config.cv.clip_max)};
}

/// With the directory's own head.
Predicted predict_with_directory(const RunConfig& config, const data::Dataset& dataset, const dist::Mesh& mesh) {
  models::LoadedModel loaded;
  dist::agree(mesh.all(), "load " + config.model.path, [&] {
    models::LoadOptions options;
    options.layout = layout_of(config, mesh);
    options.compute_type = config.precision == Precision::kBf16 ? at::kBFloat16 : at::kFloat;
    loaded = models::load_model(config.model.path, options);
    check_output(loaded.model->head(), config.predict.output);
    check_inputs(config, loaded.model->head(), dataset);
  });
  const auto outputs =
      predict_rows(*loaded.model, mesh, dataset, all_rows(dataset), config.predict.max_tokens_per_pack);
  return {loaded.model->head(), shown(loaded.model->head(), config.predict.output, outputs)};
}

}  // namespace

ExitCode run_predict(const RunConfig& given, RunEnvironment& environment) {
  auto config = given;
  const auto world = environment.mpi.world();
  set_threads(config.run.threads, environment);
  const dist::Mesh mesh = make_mesh(config, environment.groups, world, "predict");

  const auto jobs = agreed_finished_jobs(mesh.all(), config.run.directory);
  if (config.model.path.empty()) {
    if (jobs.empty()) {
      throw ConfigError(config.run.directory +
                        " has no finished folds and model.path is not set; name a run directory or a model directory");
    }
    config.model.path = jobs.front().model_path;
  }
  const auto prepared = prepare_dataset(config, config.data.test, TableRole::kTest, environment);
  environment.console.say("predict: " + describe(prepared, config.data.test));
  const auto predicted = jobs.empty() ? predict_with_directory(config, prepared.dataset, mesh)
                                      : predict_with_jobs(config, jobs, prepared.dataset, mesh, environment.console);

  const auto file = fs::path(config.run.directory) / "predictions.csv";
  dist::agree(mesh.all(), "write " + file.string(), [&] {
    if (mesh.all().rank() != 0) return;
    fs::create_directories(file.parent_path());
    write_predictions(file, config.data.id, ids_of(prepared.dataset), predicted.head.labels, predicted.values);
  });
  const auto source = jobs.empty()       ? config.model.path
                      : jobs.size() == 1 ? jobs.front().id.name
                                         : "the mean of " + std::to_string(jobs.size()) + " folds";
  environment.console.say("predictions of " + source + ": " + file.string());
  return ExitCode::kDone;
}

}  // namespace meshfold::jobs
