#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "jobs/console.hpp"
#include "jobs/job_id.hpp"
#include "jobs/report/run_state.hpp"
#include "jobs/scores/metrics.hpp"

namespace meshfold::jobs {

/// One fold, or `train`, as its files show it.
struct JobStatus {
  enum class State { kWaiting, kRunning, kInterrupted, kFinished };
  JobId id;
  State state = State::kWaiting;
  std::int64_t step = 0, num_steps = 0;  ///< num_steps 0: not known yet
  double epoch = 0, loss = 0;
  double samples_per_s = 0;            ///< of training
  Scores scores;                       ///< of the last evaluation, or (finished) of the predictions that are kept
  std::optional<double> seconds_left;  ///< of its own training; only of jobs that run or wait in a run that is alive
};

/// A run directory seen from another process.
struct RunStatus {
  enum class State { kRunning, kFinished, kStopped, kFailed, kDead };
  std::filesystem::path run;
  State state = State::kDead;
  RunState process;           ///< who works or worked on it
  double seconds_quiet = 0;   ///< since the last sign of life
  std::string last_sign;      ///< when that was: UTC, ISO 8601
  bool process_gone = false;  ///< on this machine, and its process does not exist
  std::vector<JobStatus> jobs;
  std::optional<double> seconds_left;  ///< of training, the longest of the rank groups
};

/// "running", "finished", "stopped", "failed" or "dead".
const char* name_of(RunStatus::State state);

/// Looks at the run's files alone; works while the run is going, and after. A run that did not end in order is dead
/// when its process is gone from this machine, or, seen from another machine, when nothing was written for longer than
/// 3 minutes and than three times its longest pause so far. Throws ConfigError if `run` is no run directory.
RunStatus status_of(const std::filesystem::path& run, std::chrono::system_clock::time_point now);

/// A line on the run, a table of its jobs, and what is left.
void print_status(const RunStatus& status, Console& console);

/// The same as one JSON object (docs/file-formats.md).
std::string status_as_json(const RunStatus& status);

}  // namespace meshfold::jobs
