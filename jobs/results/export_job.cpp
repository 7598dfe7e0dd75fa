#include "jobs/results/export_job.hpp"

#include "base/durable_file.hpp"
#include "dist/agreement.hpp"
#include "dist/mesh.hpp"
#include "dist/mpi_process_group.hpp"
#include "jobs/placement.hpp"
#include "jobs/results/finished_jobs.hpp"
#include "jobs/results/finished_model.hpp"
#include "models/directory/export_model.hpp"

namespace meshfold::jobs {
namespace {

namespace fs = std::filesystem;

/// Beside a model that a run exported: the mark by which a later export of a run knows that it may replace the
/// directory.
constexpr const char* kMark = "meshfold_export.json";

void make_room(const fs::path& directory) {
  if (!fs::exists(directory)) return;
  if (fs::is_directory(directory) && (fs::is_empty(directory) || fs::exists(directory / kMark))) {
    fs::remove_all(directory);
    return;
  }
  throw ConfigError(directory.string() +
                    " exists and was not exported by Meshfold; set export.path to a new directory");
}

std::string mark_of(const JobRecord& record) {
  return "{\"job\": \"" + record.id.name + "\", \"step\": " + std::to_string(record.selected_step) + "}\n";
}

}  // namespace

fs::path export_job(const RunConfig& config, const JobRecord& record) {
  const fs::path run = config.run.directory;
  const auto directory = config.export_path.empty() ? run / "model" : fs::path(config.export_path);
  const dist::Mesh alone("export");  // the whole model, whatever mesh it was trained on
  const auto model = load_finished_model(config, run, record, alone);
  make_room(directory);
  if (directory.has_parent_path()) fs::create_directories(directory.parent_path());
  models::export_model(*model, config.model.path.empty() ? record.model_path : config.model.path, directory);
  base::replace_file(directory / kMark, mark_of(record));
  return directory;
}

ExitCode run_export(const RunConfig& config, RunEnvironment& environment) {
  const auto world = dist::make_mpi_process_group(environment.mpi.world(), "world");
  set_threads(config.run.threads, environment);
  dist::agree(*world, "export a model", [&] {
    if (world->rank() != 0) return;
    const auto record = choose_job(config.run.directory, config.export_job);
    const auto directory = export_job(config, record);
    environment.console.say("model of " + record.id.name + ", step " + std::to_string(record.selected_step) + ": " +
                            directory.string());
  });
  return ExitCode::kDone;
}

}  // namespace meshfold::jobs
