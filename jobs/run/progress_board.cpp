#include "jobs/run/progress_board.hpp"

#include <cmath>

#include "base/text.hpp"
#include "jobs/report/metrics_log.hpp"
#include "jobs/report/run_state.hpp"
#include "jobs/scores/metrics.hpp"

namespace meshfold::jobs {

ProgressBoard::ProgressBoard(Console& console, int rank, std::filesystem::path run,
                             const std::vector<std::string>& job_names)
    : console_(console), is_reporter_(rank == 0), run_(std::move(run)) {
  for (const auto& name : job_names) jobs_.push_back({name, std::filesystem::exists(run_ / name / "done.json"), {}});
}

void ProgressBoard::refresh() {
  if (!is_reporter_ || std::chrono::steady_clock::now() < next_) return;
  refresh_now();
}

void ProgressBoard::refresh_now() {
  if (!is_reporter_) return;
  next_ = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  touch_state(run_);
  std::string line;
  double samples_per_s = 0;
  for (auto& job : jobs_) line += (line.empty() ? "" : " | ") + show(job, samples_per_s);
  if (samples_per_s > 0) line += base::format(" | %.1f samples/s", samples_per_s);
  console_.progress(line);
}

std::string ProgressBoard::show(Job& job, double& samples_per_s) {
  const auto directory = run_ / job.name;
  const auto progress = read_progress(directory);
  const auto scores = progress ? short_text(progress->scores) : "";
  if (!scores.empty() && scores != job.last_scores && !job.finished) {
    console_.say(job.name + ": " + scores + " at step " + std::to_string(progress->evaluated_step) + " of " +
                 std::to_string(progress->num_steps));
  }
  job.last_scores = scores;
  job.finished = job.finished || std::filesystem::exists(directory / "done.json");
  if (job.finished) return job.name + " done" + (scores.empty() ? "" : " " + scores);
  if (!progress || progress->num_steps == 0) return job.name + " waits";
  samples_per_s += progress->samples_per_s;
  return job.name + base::format(" %lld/%lld loss %.4f", static_cast<long long>(progress->step),
                                 static_cast<long long>(progress->num_steps), progress->loss);
}

std::string short_text(const std::vector<std::pair<std::string, double>>& scores) {
  std::string text;
  for (const auto& [name, score] : headline(scores)) {
    text += (text.empty() ? "" : ", ") + name + (std::isfinite(score) ? base::format(" %.4f", score) : " n/a");
  }
  return text;
}

}  // namespace meshfold::jobs
