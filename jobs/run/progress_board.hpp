#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "jobs/console.hpp"

namespace meshfold::jobs {

/// Keeps rank 0's progress line up to date with all jobs of the run, those of other ranks too: it reads their
/// metrics.jsonl (and done.json) from the run directory, so that nothing is sent between jobs; each look is also the
/// run's sign of life for `meshfold status`. On other ranks it does nothing.
class ProgressBoard {
 public:
  ProgressBoard(Console& console, int rank, std::filesystem::path run, const std::vector<std::string>& job_names);

  /// Shows the present state; at most once a second, so it may be called at every step.
  void refresh();
  /// Whatever the clock says: the last evaluations of a run are not left out.
  void refresh_now();

 private:
  struct Job {
    std::string name;
    bool finished = false;
    std::string last_scores;  ///< the evaluation that was said last
  };
  std::string show(Job& job, double& samples_per_s);

  Console& console_;
  bool is_reporter_;
  std::filesystem::path run_;
  std::vector<Job> jobs_;
  std::chrono::steady_clock::time_point next_{};
};

/// "mcrmse 0.5812, mae 0.4100": the headline scores.
std::string short_text(const std::vector<std::pair<std::string, double>>& scores);

}  // namespace meshfold::jobs
