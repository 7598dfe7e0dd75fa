#include "jobs/cv/cross_validation.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iterator>
#include <memory>
#include <optional>

#include "dist/agreement.hpp"
#include "dist/communicator.hpp"
#include "dist/mpi_process_group.hpp"
#include "jobs/cv/closing.hpp"
#include "jobs/prepare/dataset_cache.hpp"
#include "jobs/report/run_state.hpp"
#include "jobs/run/idle_wait.hpp"
#include "jobs/run/job.hpp"
#include "jobs/run/job_setup.hpp"
#include "jobs/run/placement.hpp"
#include "jobs/run/run_outcome.hpp"
#include "jobs/run/startup_facts.hpp"
#include "jobs/train/parts.hpp"
#include "models/directory/load_model.hpp"

namespace meshfold::jobs {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

milliseconds deadline_of(const RunConfig& config) {
  return milliseconds(static_cast<std::int64_t>(config.run.deadline_s * 1000));
}

/// One cross-validation from its config to its exit code; the steps of run() in their order. Every member function is
/// collective over the world unless it says otherwise.
class CrossValidation {
 public:
  CrossValidation(const RunConfig& config, RunEnvironment& environment)
      : config_(config),
        environment_(environment),
        run_(config.run.directory),
        world_(dist::make_mpi_process_group(environment.mpi.world(), "world")) {}

  ExitCode run() {
    check_config();
    facts_ = machine_facts(set_threads(config_, environment_), environment_.groups);
    prepare_data();
    split();
    place();
    inspect_model();
    environment_.console.table("cross-validation", facts_);
    note_start();
    find_finished();
    const auto outcomes = train_folds();
    if (const auto code = conclude(outcomes, environment_.console)) return *code;
    close();
    return ExitCode::kDone;
  }

 private:
  bool speaks() const { return world_->rank() == 0; }

  void check_config() const {
    std::vector<std::string> faults;
    if (config_.data.train.empty())
      faults.emplace_back("data.train is not set; name the table to train on (CSV or JSON Lines)");
    if (config_.model.path.empty()) faults.emplace_back("model.path is not set; name a Hugging Face model directory");
    if (config_.data.targets.empty()) faults.emplace_back("data.targets is not set; name the target columns");
    if (!config_.data.sample_submission.empty() && config_.data.test.empty()) {
      faults.emplace_back("data.sample_submission needs data.test; name the table to predict");
    }
    const int most = std::min(config_.cv.folds, world_->size());
    if (config_.cv.groups < 0 || config_.cv.groups > most) {
      faults.push_back("cv.groups = " + std::to_string(config_.cv.groups) + " is not between 0 (auto) and " +
                       std::to_string(most) + ", the smaller of folds and ranks");
    }
    if (!faults.empty()) throw ConfigError(faults);
  }

  void prepare_data() {
    training_.emplace(prepare_dataset(config_, config_.data.train, TableRole::kTrain, environment_));
    facts_.emplace_back("training data", describe(*training_, config_.data.train));
    if (!config_.data.test.empty()) {
      test_.emplace(prepare_dataset(config_, config_.data.test, TableRole::kTest, environment_));
      facts_.emplace_back("test data", describe(*test_, config_.data.test));
    }
    head_ = head_of(config_, *training_);
    dist::agree(*world_, "read the sample submission", [&] {
      if (!speaks()) return;
      submission_ = config_.data.sample_submission.empty()
                        ? default_submission_format(config_.data.id, head_.labels)
                        : read_submission_format(config_.data.sample_submission, config_.data.id, head_.labels,
                                                 ids_of(test_->dataset));
    });
  }

  void split() {
    dist::agree(*world_, "make the folds", [&] {
      folds_ = make_folds(config_, training_->dataset, head_.labels);
      if (speaks()) keep_folds_csv(run_ / "folds.csv", training_->dataset, folds_);
    });
    plans_ = plan_folds(folds_);
    facts_.emplace_back("folds", describe(folds_, config_));
    origin_ = {config_.hash, training_->dataset.source_hash(), folds_.hash(),
               test_ ? test_->dataset.source_hash() : std::string()};
    if (!folds_.scarce.empty() && config_.model.task != models::Task::kRegression) {
      environment_.console.warn(
          "label '" + folds_.scarce.front() + "'" +
          (folds_.scarce.size() > 1 ? " and " + std::to_string(folds_.scarce.size() - 1) + " more" : std::string()) +
          ": fewer samples than folds, so some folds are scored without it");
    }
    if (folds_.report.groups_in_several_folds > 0) {
      environment_.console.warn(std::to_string(folds_.report.groups_in_several_folds) +
                                " groups have samples in several folds: out-of-fold scores may be too good");
    }
  }

  void place() {
    groups_ = group_ranks(config_, plans_, training_->dataset, world_->size());
    std::string layout;
    for (const auto& group : groups_) {
      const int size = static_cast<int>(group.ranks.size());
      shapes_.push_back(mesh_shape(config_.mesh, size));
      layout += (layout.empty() ? "" : "; ") + shapes_.back().to_string() + ": fold";
      for (const int fold : group.folds) layout.append(" ").append(std::to_string(fold));
    }
    for (const auto& shape : shapes_)
      resolve_parts(config_.training, training_->dataset, shape.data, shape.pipeline);  // its ConfigError now
    facts_.emplace_back("rank groups", layout);
    dist::agree(*world_, "note the rank groups", [&] {
      if (speaks()) note_groups(run_, jobs_by_group());
    });
  }

  std::vector<std::vector<std::string>> jobs_by_group() const {
    std::vector<std::vector<std::string>> jobs;
    for (const auto& group : groups_) {
      auto& names = jobs.emplace_back();
      for (const int fold : group.folds) names.push_back(plans_[static_cast<std::size_t>(fold)].name);
    }
    return jobs;
  }

  /// Rank 0 loads the model once before any training, so that a bad directory costs seconds; the others learn of it by
  /// agreement.
  void inspect_model() {
    dist::agree(*world_, "load " + config_.model.path, [&] {
      if (!speaks()) return;
      const auto loaded = models::load_model(config_.model.path,
                                             load_options_of(config_, head_, 0, first_part(config_, shapes_.front())));
      check_length(config_, *loaded.model);
      log_loading(loaded.report, environment_.console);
      std::ranges::move(model_facts(config_, loaded), std::back_inserter(facts_));
    });
    std::ranges::move(step_facts(config_, training_->dataset, plans_.front().training_rows.size(), shapes_.front()),
                      std::back_inserter(facts_));
  }

  void note_start() {
    dist::agree(*world_, "note what the report needs", [&] {
      if (!speaks()) return;
      notes_ = start_notes("cv", config_, head_, facts_, training_->dataset);
      write_notes(run_, notes_);
    });
  }

  /// Rank 0 decides which folds have finished, so that all ranks act alike even if a file changes under them.
  void find_finished() {
    std::string finished(plans_.size(), '0');
    dist::agree(*world_, "look for finished folds", [&] {
      if (!speaks()) return;
      for (std::size_t k = 0; k < plans_.size(); ++k) {
        std::string note;
        if (read_result(run_ / plans_[k].name, origin_, note)) {
          finished[k] = '1';
          environment_.console.say(plans_[k].name + ": finished before, not run again");
        }
        if (!note.empty()) environment_.console.warn(note);
      }
    });
    finished_ = world_->broadcast_bytes(finished, 0);
  }

  std::vector<JobOutcome> train_folds() {
    std::vector<std::string> names;
    for (const auto& plan : plans_) names.push_back(plan.name);
    ProgressBoard board(environment_.console, world_->rank(), run_, names);

    const auto group = group_of_rank(groups_, world_->rank());
    auto outcomes =
        finished_.find('0') == std::string::npos ? std::vector<JobOutcome>(plans_.size()) : run_group(group, board);
    wait_for_all(*environment_.mpi.world(), environment_.watchdog, [&] { board.refresh(); });
    board.refresh_now();
    return gather_outcomes(*world_, groups_, std::move(outcomes));
  }

  /// This rank's group alone: runs its folds one after the other. Entries of other groups' folds keep their default.
  std::vector<JobOutcome> run_group(std::size_t group, ProgressBoard& board) {
    std::vector<JobOutcome> outcomes(plans_.size());
    const auto mesh = make_mesh(group);
    const JobInputs inputs{config_, training_->dataset, test_ ? &test_->dataset : nullptr, head_, origin_};
    bool stopped = false;
    for (const int fold : groups_[group].folds) {
      const auto k = static_cast<std::size_t>(fold);
      if (finished_[k] == '1') continue;
      stopped = stopped || agreed_stop(mesh.all(), environment_.stop_requested());
      outcomes[k] =
          stopped ? JobOutcome{JobState::kStopped, "not begun"} : run_job(plans_[k], inputs, mesh, board, environment_);
      stopped = stopped || outcomes[k].state == JobState::kStopped;
      if (mesh.all().rank() == 0 && outcomes[k].state != JobState::kFinished) {
        environment_.console.log(plans_[k].name + ": " + outcomes[k].message);
      }
    }
    return outcomes;
  }

  dist::Mesh make_mesh(std::size_t group) const {
    const auto name = "group-" + std::to_string(group);
    const dist::Watchdog::Phase phase(environment_.watchdog, "make " + name, deadline_of(config_));
    const auto& ranks = groups_[group].ranks;
    auto communicator = environment_.mpi.world()->create_group(ranks, static_cast<int>(group), name);
    return jobs::make_mesh(config_, environment_.groups, std::move(communicator), name);
  }

  void close() {
    dist::agree(*world_, "collect the folds", [&] {
      if (!speaks()) return;
      std::vector<JobResult> results;
      for (const auto& plan : plans_) {
        std::string note;
        auto result = read_result(run_ / plan.name, origin_, note);
        if (!result) throw StorageError(plan.name + " has finished, but its result cannot be read back. " + note);
        results.push_back(std::move(*result));
      }
      const auto* test = test_ ? &test_->dataset : nullptr;
      close_cross_validation({config_, training_->dataset, test, folds_, head_, submission_, notes_}, results,
                             environment_.console);
    });
  }

  const RunConfig& config_;
  RunEnvironment& environment_;
  fs::path run_;
  std::unique_ptr<dist::ProcessGroup> world_;
  Facts facts_;  ///< the start-up table; complete on rank 0
  std::optional<PreparedDataset> training_, test_;
  RunNotes notes_;  ///< rank 0 only
  models::HeadConfig head_;
  SubmissionFormat submission_;  ///< rank 0 only
  Folds folds_;
  ResultOrigin origin_;
  std::vector<JobPlan> plans_;  ///< [fold]
  std::vector<RankGroup> groups_;
  std::vector<dist::MeshShape> shapes_;  ///< [group]
  std::string finished_;                 ///< [fold]: '1' if it had finished before this start
};

}  // namespace

ExitCode run_cross_validation(const RunConfig& config, RunEnvironment& environment) {
  return CrossValidation(config, environment).run();
}

}  // namespace meshfold::jobs
