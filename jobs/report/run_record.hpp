#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "jobs/job_id.hpp"
#include "jobs/report/held_out.hpp"
#include "jobs/report/metrics_log.hpp"
#include "jobs/report/run_notes.hpp"
#include "jobs/scores/metrics.hpp"

namespace meshfold::jobs {

/// One row of the table of jobs, and the curves behind it.
struct JobSummary {
  JobId id;
  bool finished = false;
  std::size_t samples = 0;  ///< held-out ones
  std::size_t training_samples = 0;
  Scores scores;       ///< of the selected checkpoint; of the last evaluation when not finished
  Scores last_scores;  ///< of the last epoch, shown beside it when it is not the selected one
  std::int64_t selected_step = 0;
  std::int64_t steps = 0;
  double seconds = 0;
  double evaluation_seconds = 0;  ///< part of `seconds`
  double samples_per_s = 0;       ///< training
  MetricsHistory history;
};

/// Everything that a run directory tells, finished or not.
struct RunRecord {
  std::filesystem::path directory;
  std::string title;
  std::string state;  ///< "finished", "running", ...: as `meshfold status` says
  RunNotes notes;
  std::vector<JobSummary> jobs;
  std::optional<HeldOut> held_out;  ///< nullopt until the run has finished
  std::string config_ini;
  std::string train_table, id_column;     ///< data.train, data.id
  std::vector<std::string> text_columns;  ///< all that texts are made of
};

/// Reads the run's files. Throws ConfigError if `run` is no run directory, InputError for a damaged table of
/// predictions.
RunRecord read_run(const std::filesystem::path& run);

/// NaN if there is no score of that name.
double score_of(const Scores& scores, const std::string& name);

/// The name of the first score: the one that selects. "score" as long as nothing was evaluated.
std::string main_metric(const RunRecord& run);

}  // namespace meshfold::jobs
