#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dist/mesh.hpp"
#include "dist/process_group.hpp"
#include "jobs/config/run_config.hpp"
#include "jobs/error.hpp"
#include "jobs/prepare/dataset_cache.hpp"
#include "jobs/report/run_notes.hpp"
#include "jobs/results/job_result.hpp"
#include "jobs/run/job.hpp"
#include "jobs/run/rank_groups.hpp"
#include "jobs/run/startup_facts.hpp"
#include "jobs/run_environment.hpp"

namespace meshfold::jobs {

/// A run that trains a list of jobs side by side on rank groups, from its tables to the jobs' results: what `cv` and
/// `train`, a list of one, have in common. A command calls the steps in their order here, and between them does what is
/// its own. Each step is collective over the world unless it says otherwise, and adds what it finds to the facts of the
/// start-up table.
class TrainingRun {
 public:
  /// Sets this rank's threads. `command` is "cv" or "train".
  TrainingRun(std::string command, const RunConfig& config, RunEnvironment& environment);

  /// The training table, and the head that it and the config ask for.
  void prepare_training();
  /// The test table, if there is one.
  void prepare_test();
  /// Takes the jobs of the run and places them on rank groups; `folds_hash` is that of their folds, if they are folds.
  /// ConfigError if ranks, mesh or packs cannot be.
  void place(std::vector<JobPlan> jobs, std::string folds_hash);
  /// Rank 0 loads the model once before any training, so that a bad directory costs seconds; the others learn of it by
  /// agreement.
  void inspect_model();
  /// Steps and packs of the first job, optimizer and schedule.
  void inspect_steps();
  /// Shows the start-up table, and notes what the report will need of it.
  void begin(const std::string& title);
  /// Runs the jobs that have not finished in an earlier start, each group its own, and waits for those of other groups.
  /// nullopt if all jobs have finished; else says which have not. Throws BadNumbersError, the same on every rank.
  std::optional<ExitCode> train();
  /// Calls `write` on rank 0, with the results of all jobs in their order.
  void finish(const std::function<void(const std::vector<JobResult>&)>& write);

  const RunConfig& config() const { return config_; }
  std::filesystem::path directory() const { return config_.run.directory; }
  Console& console() const { return environment_.console; }
  dist::ProcessGroup& world() const { return *world_; }
  /// Whether this is the rank that reads and writes the run's files, and speaks.
  bool is_reporter() const { return world_->rank() == 0; }
  Facts& facts() { return facts_; }  ///< of the start-up table; complete on the reporter
  const data::Dataset& training() const { return training_->dataset; }
  const data::Dataset* test() const { return test_ ? &test_->dataset : nullptr; }  ///< null: there is none
  const models::HeadConfig& head() const { return head_; }
  const std::vector<JobPlan>& jobs() const { return jobs_; }
  const std::vector<RankGroup>& groups() const { return groups_; }
  const std::vector<dist::MeshShape>& shapes() const { return shapes_; }  ///< [group]
  const RunNotes& notes() const { return notes_; }                        ///< as written by begin(); reporter only

 private:
  std::vector<bool> find_finished();
  std::vector<JobOutcome> run_group(std::size_t group, const std::vector<bool>& is_finished, ProgressBoard& board);
  std::string name_of_group(std::size_t group) const;
  dist::Mesh make_group_mesh(std::size_t group) const;

  std::string command_;
  const RunConfig& config_;
  RunEnvironment& environment_;
  std::unique_ptr<dist::ProcessGroup> world_;
  Facts facts_;
  std::optional<PreparedDataset> training_, test_;
  models::HeadConfig head_;
  std::vector<JobPlan> jobs_;
  ResultOrigin origin_;
  std::vector<RankGroup> groups_;
  std::vector<dist::MeshShape> shapes_;
  RunNotes notes_;
};

}  // namespace meshfold::jobs
