#include "jobs/report/run_status.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <span>

#include "base/text.hpp"
#include "jobs/error.hpp"
#include "jobs/report/metrics_log.hpp"
#include "jobs/results/job_result.hpp"
#include "jobs/utc_time.hpp"

namespace meshfold::jobs {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::system_clock;
using JobState = JobStatus::State;
using State = RunStatus::State;
using Json = nlohmann::ordered_json;

constexpr double kPatience = 180;  // a checkpoint, an evaluation or a slow disk may keep a healthy run quiet so long
constexpr std::array kJobStates = {"waiting", "running", "interrupted", "finished"};
constexpr std::array kRunStates = {"running", "finished", "stopped", "failed", "dead"};

const char* name_of(JobState state) { return kJobStates.at(static_cast<std::size_t>(state)); }

double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

std::optional<Clock::time_point> time_of(const fs::path& file) {
  std::error_code error;
  const auto time = fs::last_write_time(file, error);
  if (error) return std::nullopt;
  return std::chrono::time_point_cast<Clock::duration>(fs::file_time_type::clock::to_sys(time));
}

/// When anything that a working run writes was last written.
Clock::time_point last_sign_of(const fs::path& run, const std::vector<std::string>& jobs) {
  std::vector<fs::path> files = {run / "run.json", run / "state.json"};
  for (const auto& job : jobs) {
    files.push_back(run / job);  // checkpoints come and go in it
    files.push_back(run / job / "metrics.jsonl");
  }
  std::error_code ignored;
  for (const auto& log : fs::directory_iterator(run / "logs", ignored)) files.push_back(log.path());
  Clock::time_point last{};
  for (const auto& file : files) last = std::max(last, time_of(file).value_or(last));
  return last;
}

bool is_on_this_machine(const RunState& process) {
  char name[256] = "";
  ::gethostname(name, sizeof name - 1);
  return process.host == name;
}

/// Whether the process number still is a Meshfold's, not one that was given out again.
bool is_alive(int process) {
  if (::kill(process, 0) != 0 && errno == ESRCH) return false;
  std::ifstream in("/proc/" + std::to_string(process) + "/comm");
  std::string name;
  return !std::getline(in, name) || name.starts_with("meshfold");
}

/// By number: fold-2 before fold-10.
std::vector<std::string> job_names(const fs::path& run, const RunState& state) {
  std::vector<std::string> names;
  for (const auto& group : state.groups) names.insert(names.end(), group.begin(), group.end());
  for (const auto& entry : fs::directory_iterator(run)) {
    const auto name = entry.path().filename().string();
    const bool is_job = entry.is_directory() && JobId::named(name).is_known();
    if (is_job && std::ranges::find(names, name) == names.end()) names.push_back(name);
  }
  std::ranges::sort(names, {}, [](const std::string& name) { return std::pair(name.size(), name); });
  return names;
}

/// What a job's history says of its pace.
struct Pace {
  double seconds_per_step = 0;  ///< with evaluations and checkpoints; 0: not known
  double longest_pause = 0;     ///< between two entries
  std::optional<Clock::time_point> last;
};

/// This start's own pace: the time that the run lay still before does not count.
Pace pace_of(const MetricsHistory& history, Clock::time_point started) {
  Pace pace;
  std::optional<std::size_t> first;
  for (std::size_t i = 0; i < history.steps.size(); ++i) {
    const auto time = history.step_times[i];
    if (!time || *time < started) continue;
    if (pace.last) pace.longest_pause = std::max(pace.longest_pause, seconds_between(*pace.last, *time));
    if (!first) first = i;
    pace.last = time;
  }
  if (!first) return pace;
  const auto steps = history.steps.back().step - history.steps[*first].step;
  if (steps > 0) {
    // Entries tell whole seconds: steps that all fall into one took about half of it.
    const double seconds = std::max(0.5, seconds_between(*history.step_times[*first], *pace.last));
    pace.seconds_per_step = seconds / static_cast<double>(steps);
  }
  return pace;
}

JobStatus job_status(const fs::path& run, const std::string& name, const MetricsHistory& history) {
  JobStatus job;
  job.id = JobId::named(name);
  if (!history.steps.empty()) {
    const auto& last = history.steps.back();
    job.step = last.step;
    job.num_steps = last.num_steps;
    job.epoch = last.epoch;
    job.loss = last.loss;
    job.samples_per_s = last.samples_per_s;
    job.state = JobState::kInterrupted;
  }
  if (!history.evaluations.empty()) job.scores = history.evaluations.back().scores;
  if (const auto record = read_record(run / name)) {
    job.state = JobState::kFinished;
    job.step = job.num_steps = record->steps;
    job.samples_per_s = record->samples_per_s;
    if (!record->scores.empty()) job.scores = record->scores;
  }
  return job;
}

auto find_job(RunStatus& status, const std::string& name) {
  return std::ranges::find(status.jobs, name, [](const JobStatus& job) -> const std::string& { return job.id.name; });
}

/// The first unfinished job of each group is at work.
void mark_running(RunStatus& status) {
  for (const auto& group : status.process.groups) {
    for (const auto& name : group) {
      const auto job = find_job(status, name);
      if (job == status.jobs.end() || job->state == JobState::kFinished) continue;
      job->state = JobState::kRunning;
      break;
    }
  }
}

void foresee(RunStatus& status, std::span<const Pace> paces, Clock::time_point now) {
  double sum = 0, known = 0;
  std::int64_t usual_steps = 0;
  for (std::size_t i = 0; i < paces.size(); ++i) {
    usual_steps = std::max(usual_steps, status.jobs[i].num_steps);
    if (paces[i].seconds_per_step > 0) sum += paces[i].seconds_per_step, ++known;
  }
  if (known == 0) return;
  double longest = 0;
  for (const auto& group : status.process.groups) {
    double left = 0;
    for (const auto& name : group) {
      const auto job = find_job(status, name);
      if (job == status.jobs.end() || job->state == JobState::kFinished) continue;
      const auto& pace = paces[static_cast<std::size_t>(job - status.jobs.begin())];
      const auto steps = (job->num_steps > 0 ? job->num_steps : usual_steps) - job->step;
      const double per_step = pace.seconds_per_step > 0 ? pace.seconds_per_step : sum / known;
      const double gone = pace.last ? seconds_between(*pace.last, now) : 0;
      job->seconds_left = std::max(0.0, per_step * static_cast<double>(steps) - gone);
      left += *job->seconds_left;
    }
    longest = std::max(longest, left);
  }
  status.seconds_left = longest;
}

State ended_as(int exit_code) {
  if (exit_code == static_cast<int>(ExitCode::kDone)) return State::kFinished;
  return exit_code == static_cast<int>(ExitCode::kStoppedOnRequest) ? State::kStopped : State::kFailed;
}

std::string headline(const RunStatus& status) {
  const auto& process = status.process;
  const auto ranks = std::to_string(process.ranks) + (process.ranks == 1 ? " rank" : " ranks") + ", first one on " +
                     process.host + " (process " + std::to_string(process.process) + ")";
  const auto text = status.run.string() + ": ";
  switch (status.state) {
    case State::kRunning:
      return text + process.command + " runs since " + process.started + ", " + ranks +
             (status.seconds_quiet > kPatience ? "; nothing written for " + duration_text(status.seconds_quiet) : "");
    case State::kFinished:
      return text + process.command + " finished at " + process.ended;
    case State::kStopped:
      return text + process.command + " was stopped on request at " + process.ended +
             "; start the same command again to continue";
    case State::kFailed:
      return text + process.command + " failed at " + process.ended + " (exit code " +
             std::to_string(process.exit_code) + ")" + (process.message.empty() ? "" : ": " + process.message);
    case State::kDead:
      break;
  }
  const auto advice = "; start the same command again to continue";
  if (process.started.empty())
    return text + "no run is known to be at work; last written at " + status.last_sign + advice;
  return text + process.command + " is dead: " + (status.process_gone ? "its process is gone" : "no sign of life") +
         ", last one at " + status.last_sign + " (" + duration_text(status.seconds_quiet) + " ago), " + ranks + advice;
}

std::string fixed(double value, int digits) { return std::isfinite(value) ? base::format("%.*f", digits, value) : ""; }

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }
Json number(const std::optional<double>& value) { return value ? number(*value) : Json(nullptr); }

Json to_json(const JobStatus& job) {
  Json scores = Json::object();
  for (const auto& [name, value] : job.scores) scores[name] = number(value);
  return {{"name", job.id.name},
          {"state", name_of(job.state)},
          {"step", job.step},
          {"num_steps", job.num_steps},
          {"epoch", number(job.epoch)},
          {"loss", number(job.loss)},
          {"samples_per_s", number(job.samples_per_s)},
          {"scores", scores},
          {"seconds_left", number(job.seconds_left)}};
}

/// The selecting score.
std::string score_text(const Scores& scores) {
  if (scores.empty()) return "";
  return std::isfinite(scores.front().second) ? fixed(scores.front().second, 4) : "n/a";
}

}  // namespace

const char* name_of(RunStatus::State state) { return kRunStates.at(static_cast<std::size_t>(state)); }

RunStatus status_of(const fs::path& run, Clock::time_point now) {
  if (!fs::exists(run / "run.json")) {
    throw ConfigError(run.string() + ": there is no run.json in it; name the --run directory of a cv or train");
  }
  RunStatus status;
  status.run = run;
  status.process = read_state(run).value_or(RunState{});
  const auto names = job_names(run, status.process);
  const auto started = time_of_utc(status.process.started).value_or(Clock::time_point{});
  std::vector<Pace> paces;
  double longest_pause = 0;
  for (const auto& name : names) {
    const auto history = read_history(run / name);
    status.jobs.push_back(job_status(run, name, history));
    paces.push_back(pace_of(history, started));
    longest_pause = std::max(longest_pause, paces.back().longest_pause);
  }
  const auto last_sign = last_sign_of(run, names);
  status.last_sign = utc_text(last_sign);
  status.seconds_quiet = std::max(0.0, seconds_between(last_sign, now));
  if (!status.process.ended.empty()) {
    status.state = ended_as(status.process.exit_code);
    return status;
  }
  const bool is_here = is_on_this_machine(status.process);
  status.process_gone = is_here && !is_alive(status.process.process);
  const bool is_quiet = status.seconds_quiet > std::max(kPatience, 3 * longest_pause);
  if (status.process.started.empty() || status.process_gone || (!is_here && is_quiet)) return status;
  status.state = State::kRunning;
  mark_running(status);
  foresee(status, paces, now);
  return status;
}

void print_status(const RunStatus& status, Console& console) {
  console.say(headline(status));
  if (status.jobs.empty()) return console.say("  no fold has begun");
  std::vector<std::vector<std::string>> rows;
  std::string metric = "score";
  for (const auto& job : status.jobs) {
    if (!job.scores.empty()) metric = job.scores.front().first;
    rows.push_back({job.id.name, name_of(job.state),
                    job.num_steps > 0 ? std::to_string(job.step) + "/" + std::to_string(job.num_steps) : "",
                    job.step > 0 && job.state != JobState::kFinished ? fixed(job.epoch, 2) : "",
                    job.step > 0 && job.state != JobState::kFinished ? fixed(job.loss, 4) : "", score_text(job.scores),
                    job.samples_per_s > 0 ? fixed(job.samples_per_s, 1) : "",
                    job.seconds_left ? duration_text(*job.seconds_left) : ""});
  }
  console.grid({"job", "state", "step", "epoch", "loss", metric, "samples/s", "left"}, rows);
  const auto finished = std::ranges::count(status.jobs, JobState::kFinished, &JobStatus::state);
  std::string line = std::to_string(finished) + " of " + std::to_string(status.jobs.size()) + " finished";
  if (status.seconds_left) line += "; about " + duration_text(*status.seconds_left) + " of training left";
  console.say(line);
}

std::string status_as_json(const RunStatus& status) {
  const auto& process = status.process;
  Json jobs = Json::array();
  for (const auto& job : status.jobs) jobs.push_back(to_json(job));
  Json json = {{"run", status.run.string()},
               {"state", name_of(status.state)},
               {"command", process.command},
               {"host", process.host},
               {"process", process.process},
               {"ranks", process.ranks},
               {"started", process.started},
               {"ended", process.ended},
               {"exit_code", process.ended.empty() ? Json(nullptr) : Json(process.exit_code)},
               {"message", process.message},
               {"last_sign_of_life", status.last_sign},
               {"seconds_quiet", number(status.seconds_quiet)},
               {"seconds_left", number(status.seconds_left)},
               {"jobs", jobs}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace meshfold::jobs
