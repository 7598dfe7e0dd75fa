#include <algorithm>
#include <filesystem>
#include <memory>
#include <numeric>
#include <optional>

#include "dist/agreement.hpp"
#include "dist/communicator.hpp"
#include "dist/mpi_process_group.hpp"
#include "jobs/cv/closing.hpp"
#include "jobs/cv/cross_validation.hpp"
#include "jobs/prepare/dataset_cache.hpp"
#include "jobs/report/run_state.hpp"
#include "jobs/run/job.hpp"
#include "jobs/run/job_setup.hpp"
#include "jobs/run/run_outcome.hpp"
#include "jobs/run/startup_facts.hpp"
#include "models/directory/load_model.hpp"

namespace meshfold::jobs {

namespace fs = std::filesystem;

ExitCode run_training(const RunConfig& config, RunEnvironment& environment) {
  const auto world = dist::make_mpi_process_group(environment.mpi.world(), "world");
  const bool speaks = world->rank() == 0;
  const fs::path run = config.run.directory;
  const dist::MeshShape shape = mesh_shape(config.mesh, world->size());
  auto facts = machine_facts(set_threads(config, environment), environment.groups);

  const auto training = prepare_dataset(config, config.data.train, TableRole::kTrain, environment);
  const auto head = head_of(config, training);
  const auto plan = plan_training(training.dataset);
  const ResultOrigin origin{config.hash, training.dataset.source_hash(), "", ""};
  facts.emplace_back("training data", describe(training, config.data.train));
  facts.emplace_back("validation", plan.validation_rows.empty()
                                       ? "none"
                                       : with_separators(plan.validation_rows.size()) + " rows of fold 0");
  std::ranges::move(step_facts(config, training.dataset, plan.training_rows.size(), shape), std::back_inserter(facts));
  dist::agree(*world, "load " + config.model.path, [&] {
    if (!speaks) return;
    const auto loaded =
        models::load_model(config.model.path, load_options_of(config, head, plan.fold, first_part(config, shape)));
    check_length(config, *loaded.model);
    log_loading(loaded.report, environment.console);
    std::ranges::move(model_facts(config, loaded), std::back_inserter(facts));
  });
  environment.console.table("training", facts);
  RunNotes notes;
  dist::agree(*world, "note what the report needs", [&] {
    if (!speaks) return;
    notes = start_notes("train", config, head, facts, training.dataset);
    write_notes(run, notes);
  });

  std::string finished = "no";
  dist::agree(*world, "look for a finished training", [&] {
    std::string note;
    if (speaks && read_result(run / plan.name, origin, note)) finished = "yes";
    if (!note.empty()) environment.console.warn(note);
  });
  if (world->broadcast_bytes(finished, 0) == "no") {
    const dist::Mesh mesh = make_mesh(config, environment.groups, environment.mpi.world(), plan.name);
    ProgressBoard board(environment.console, world->rank(), run, {plan.name});
    dist::agree(*world, "note the job", [&] {
      if (speaks) note_groups(run, {{plan.name}});
    });
    const auto outcome = run_job(plan, {config, training.dataset, nullptr, head, origin}, mesh, board, environment);
    board.refresh_now();
    if (outcome.state == JobState::kBadNumbers) throw BadNumbersError(outcome.message);
    if (outcome.state == JobState::kStopped) {
      environment.console.say("train: " + outcome.message + "; start the same command again to continue");
      return ExitCode::kStoppedOnRequest;
    }
  } else {
    environment.console.say("train: finished before, not run again");
  }

  dist::agree(*world, "write the report", [&] {
    if (!speaks) return;
    std::string note;
    const auto result = read_result(run / plan.name, origin, note);
    if (!result) throw StorageError("train has finished, but its result cannot be read back. " + note);
    close_training(config, training.dataset, *result, std::move(notes), environment.console);
  });
  return ExitCode::kDone;
}

}  // namespace meshfold::jobs
