#include "jobs/run/training_run.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "base/duration.hpp"
#include "dist/agreement.hpp"
#include "dist/communicator.hpp"
#include "dist/mpi_process_group.hpp"
#include "jobs/config/job_setup.hpp"
#include "jobs/placement.hpp"
#include "jobs/prepare/head.hpp"
#include "jobs/report/run_state.hpp"
#include "jobs/run/progress_board.hpp"
#include "jobs/run/run_outcome.hpp"
#include "jobs/train/parts.hpp"
#include "models/directory/load_model.hpp"

namespace meshfold::jobs {
namespace {

void append(Facts& facts, Facts more) { std::ranges::move(more, std::back_inserter(facts)); }

/// The full lists of tensors that were left out and initialised, one line each, into the log file.
void log_loading(const models::LoadReport& report, Console& console) {
  for (const auto& name : report.left_out) console.log("left out: " + name);
  for (const auto& name : report.initialized) console.log("initialised: " + name);
}

}  // namespace

TrainingRun::TrainingRun(std::string command, const RunConfig& config, RunEnvironment& environment)
    : command_(std::move(command)),
      config_(config),
      environment_(environment),
      world_(dist::make_mpi_process_group(environment.mpi.world(), "world")),
      facts_(machine_facts(set_threads(config.run.threads, environment), environment.groups)) {}

void TrainingRun::prepare_training() {
  training_.emplace(prepare_dataset(config_, config_.data.train, TableRole::kTrain, environment_));
  facts_.emplace_back("training data", describe(*training_, config_.data.train));
  head_ = head_of(config_, *training_);
}

void TrainingRun::prepare_test() {
  if (config_.data.test.empty()) return;
  test_.emplace(prepare_dataset(config_, config_.data.test, TableRole::kTest, environment_));
  facts_.emplace_back("test data", describe(*test_, config_.data.test));
}

void TrainingRun::place(std::vector<JobPlan> jobs, std::string folds_hash) {
  jobs_ = std::move(jobs);
  origin_ = {config_.hash, training().source_hash(), std::move(folds_hash), test_ ? test()->source_hash() : ""};
  groups_ = group_ranks(config_, jobs_, training(), world_->size());
  std::vector<std::vector<std::string>> names;
  for (const RankGroup& group : groups_) {
    shapes_.push_back(mesh_shape(config_.mesh, static_cast<int>(group.ranks.size())));
    names.emplace_back();
    for (const std::size_t job : group.jobs) names.back().push_back(jobs_[job].id.name);
  }
  for (const auto& shape : shapes_) {
    resolve_parts(config_.training, training(), shape.data, shape.pipeline);  // its ConfigError now
  }
  dist::agree(*world_, "note the rank groups", [&] {
    if (is_reporter()) note_groups(directory(), std::move(names));
  });
}

void TrainingRun::inspect_model() {
  dist::agree(*world_, "load " + config_.model.path, [&] {
    if (!is_reporter()) return;
    const auto loaded =
        models::load_model(config_.model.path, load_options_of(config_, head_, first_part(config_, shapes_.front())));
    check_length(config_, *loaded.model);
    log_loading(loaded.report, console());
    append(facts_, model_facts(config_, loaded));
  });
}

void TrainingRun::inspect_steps() {
  append(facts_, step_facts(config_, training(), jobs_.front().training_rows.size(), shapes_.front()));
}

void TrainingRun::begin(const std::string& title) {
  console().table(title, facts_);
  dist::agree(*world_, "note what the report needs", [&] {
    if (!is_reporter()) return;
    notes_ = start_notes(command_, config_, head_, facts_, training());
    write_notes(directory(), notes_);
  });
}

std::optional<ExitCode> TrainingRun::train() {
  const std::vector<bool> is_finished = find_finished();
  std::vector<std::string> names;
  for (const JobPlan& job : jobs_) names.push_back(job.id.name);
  ProgressBoard board(console(), world_->rank(), directory(), names);

  std::vector<JobOutcome> outcomes(jobs_.size());
  if (std::ranges::count(is_finished, false) > 0) {
    outcomes = run_group(group_of_rank(groups_, world_->rank()), is_finished, board);
  }
  if (groups_.size() > 1) {
    wait_for_all(*environment_.mpi.world(), environment_.watchdog, [&] { board.refresh(); });
  }
  board.refresh_now();
  return conclude(jobs_, gather_outcomes(*world_, groups_, std::move(outcomes)), console());
}

/// Whether each job has finished, by job. Rank 0 decides, so that all ranks act alike even if a file changes under
/// them.
std::vector<bool> TrainingRun::find_finished() {
  std::string finished(jobs_.size(), '0');
  dist::agree(*world_, "look for finished jobs", [&] {
    if (!is_reporter()) return;
    for (std::size_t job = 0; job < jobs_.size(); ++job) {
      const std::string& name = jobs_[job].id.name;
      std::string note;
      if (read_result(directory() / name, origin_, note)) {
        finished[job] = '1';
        console().say(name + ": finished before, not run again");
      }
      if (!note.empty()) console().warn(note);
    }
  });
  std::vector<bool> is_finished;
  for (const char digit : world_->broadcast_bytes(finished, 0)) is_finished.push_back(digit == '1');
  return is_finished;
}

/// This rank's group alone: runs its jobs one after the other. Entries of other groups' jobs keep their default.
std::vector<JobOutcome> TrainingRun::run_group(std::size_t group, const std::vector<bool>& is_finished,
                                               ProgressBoard& board) {
  std::vector<JobOutcome> outcomes(jobs_.size());
  const dist::Mesh mesh = make_group_mesh(group);
  const JobInputs inputs{config_, training(), test(), head_, origin_};
  bool is_stopped = false;
  for (const std::size_t job : groups_[group].jobs) {
    if (is_finished[job]) continue;
    is_stopped = is_stopped || agreed_stop(mesh.all(), environment_.stop_requested());
    outcomes[job] = is_stopped ? JobOutcome{JobState::kStopped, "not begun"}
                               : run_job(jobs_[job], inputs, mesh, board, environment_);
    is_stopped = is_stopped || outcomes[job].state == JobState::kStopped;
    if (mesh.all().rank() == 0 && outcomes[job].state != JobState::kFinished) {
      console().log(jobs_[job].id.name + ": " + outcomes[job].message);
    }
  }
  return outcomes;
}

/// What messages call it; the group of the only job is known by that.
std::string TrainingRun::name_of_group(std::size_t group) const {
  return jobs_.size() == 1 ? jobs_.front().id.name : "group-" + std::to_string(group);
}

dist::Mesh TrainingRun::make_group_mesh(std::size_t group) const {
  const std::string name = name_of_group(group);
  const auto deadline = base::milliseconds_of(config_.run.deadline_s);
  const dist::Watchdog::Phase phase(environment_.watchdog, "make " + name, deadline);
  auto communicator = environment_.mpi.world()->create_group(groups_[group].ranks, static_cast<int>(group), name);
  return make_mesh(config_, environment_.groups, std::move(communicator), name);
}

void TrainingRun::finish(const std::function<void(const std::vector<JobResult>&)>& write) {
  dist::agree(*world_, "collect the results", [&] {
    if (!is_reporter()) return;
    std::vector<JobResult> results;
    for (const JobPlan& job : jobs_) {
      std::string note;
      auto result = read_result(directory() / job.id.name, origin_, note);
      if (!result) throw StorageError(job.id.name + " has finished, but its result cannot be read back. " + note);
      results.push_back(std::move(*result));
    }
    write(results);
  });
}

}  // namespace meshfold::jobs
