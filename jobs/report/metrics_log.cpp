#include "jobs/report/metrics_log.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string_view>

#include "jobs/error.hpp"
#include "jobs/utc_time.hpp"

namespace meshfold::jobs {
namespace {

using Json = nlohmann::ordered_json;  // fields stay in the order in which a person reads them

constexpr const char* kFileName = "metrics.jsonl";
// Far more than the lines between two evaluations; read_progress is called every second and must not read a long run's
// whole file.
constexpr std::streamoff kTailBytes = 256 * 1024;
// An evaluation's other fields; what remains are its metrics.
constexpr std::array kEvaluationFields = {"kind", "time", "fold", "step", "epoch", "best", "seconds"};

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json head(const char* kind, std::optional<int> fold, std::int64_t step) {
  Json line = {{"kind", kind}, {"time", utc_now()}};
  if (fold) line["fold"] = *fold;
  line["step"] = step;
  return line;
}

double number_in(const Json& line, const char* field) {
  const auto found = line.find(field);
  return found != line.end() && found->is_number() ? found->get<double>() : std::numeric_limits<double>::quiet_NaN();
}

std::int64_t integer_in(const Json& line, const char* field) {
  const auto found = line.find(field);
  return found != line.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
}

StepReport step_of(const Json& line) {
  StepReport report;
  report.step = integer_in(line, "step");
  report.num_steps = integer_in(line, "num_steps");
  report.epoch = number_in(line, "epoch");
  report.samples = integer_in(line, "samples");
  report.loss = number_in(line, "loss");
  report.learning_rate = number_in(line, "learning_rate");
  report.grad_norm = number_in(line, "grad_norm");
  report.tokens_per_s = number_in(line, "tokens_per_s");
  report.samples_per_s = number_in(line, "samples_per_s");
  return report;
}

EvaluationReport evaluation_of(const Json& line) {
  EvaluationReport report;
  report.step = integer_in(line, "step");
  report.epoch = number_in(line, "epoch");
  report.best = line.value("best", false);
  report.seconds = number_in(line, "seconds");
  for (const auto& [name, value] : line.items()) {
    if (std::find(kEvaluationFields.begin(), kEvaluationFields.end(), name) == kEvaluationFields.end()) {
      report.scores.emplace_back(name, number_in(line, name.c_str()));
    }
  }
  return report;
}

/// A JSON object with a kind, or nullopt: a line that was cut off while it was written.
std::optional<Json> parsed(const std::string& text) {
  Json line = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!line.is_object() || !line.contains("kind") || !line["kind"].is_string()) return std::nullopt;
  return line;
}

std::string contents_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream contents;
  contents << in.rdbuf();
  return contents.str();
}

[[noreturn]] void fail(const std::filesystem::path& file, const char* attempt) {
  throw StorageError(file.string() + ": cannot " + attempt + ": " + std::strerror(errno) +
                     "; free space or choose another --run directory, then start the same command again");
}

MetricsHistory history_of(std::istream& lines) {
  MetricsHistory history;
  for (std::string text; std::getline(lines, text);) {
    const auto line = parsed(text);
    if (!line) continue;
    if ((*line)["kind"] == "train") {
      history.steps.push_back(step_of(*line));
      history.step_times.push_back(time_of_utc(line->value("time", "")));
    }
    if ((*line)["kind"] == "eval") history.evaluations.push_back(evaluation_of(*line));
  }
  return history;
}

}  // namespace

MetricsLog::MetricsLog(const std::filesystem::path& job_directory, std::optional<int> fold, int every_steps)
    : file_(job_directory / kFileName), fold_(fold), every_steps_(std::max(1, every_steps)) {
  std::error_code ignored;
  std::filesystem::create_directories(job_directory, ignored);
  const std::string contents = contents_of(file_);
  if (!contents.empty() && contents.back() != '\n') {
    const std::size_t last = contents.rfind('\n');
    replace_contents(last == std::string::npos ? "" : contents.substr(0, last + 1));
  }
  open();
}

void MetricsLog::discard_after(std::int64_t resume_step) {
  std::istringstream lines(contents_of(file_));
  std::string kept;
  for (std::string text; std::getline(lines, text);) {
    const auto line = parsed(text);
    if (line && integer_in(*line, "step") <= resume_step) kept += text + "\n";
  }
  stream_.close();
  replace_contents(kept);
  open();
  last_step_ = resume_step;
}

void MetricsLog::on_step(const StepReport& report) {
  last_step_ = report.step;
  if (report.step % every_steps_ != 0 && report.step != report.num_steps) return;
  Json line = head("train", fold_, report.step);
  line["num_steps"] = report.num_steps;
  line["epoch"] = number(report.epoch);
  line["samples"] = report.samples;
  line["loss"] = number(report.loss);
  line["learning_rate"] = number(report.learning_rate);
  line["grad_norm"] = number(report.grad_norm);
  line["tokens_per_s"] = number(report.tokens_per_s);
  line["samples_per_s"] = number(report.samples_per_s);
  write(line.dump());
}

void MetricsLog::on_evaluation(const EvaluationReport& report) {
  last_step_ = report.step;
  Json line = head("eval", fold_, report.step);
  line["epoch"] = number(report.epoch);
  line["best"] = report.best;
  line["seconds"] = number(report.seconds);
  for (const auto& [name, value] : report.scores) line[name] = number(value);
  write(line.dump(-1, ' ', false, Json::error_handler_t::replace));
}

void MetricsLog::on_note(const std::string& text) {
  Json line = head("note", fold_, last_step_);
  line["text"] = text;
  write(line.dump(-1, ' ', false, Json::error_handler_t::replace));
}

void MetricsLog::on_usage(const std::vector<RankUsage>& ranks) {
  Json line = head("usage", fold_, last_step_);
  line["steps"] = ranks.front().steps;
  line["ranks"] = Json::array();
  for (const RankUsage& rank : ranks) {
    line["ranks"].push_back({{"data", rank.place.data},
                             {"pipeline", rank.place.pipeline},
                             {"tensor", rank.place.tensor},
                             {"sent_data", rank.data_bytes},
                             {"sent_pipeline", rank.pipeline_bytes},
                             {"sent_tensor", rank.tensor_bytes},
                             {"step_peak", rank.step_peak_bytes},
                             {"resident_peak", rank.resident_bytes}});
  }
  write(line.dump());
}

void MetricsLog::open() {
  errno = 0;
  stream_.open(file_, std::ios::app | std::ios::binary);
  if (!stream_) fail(file_, "open the metrics log");
}

void MetricsLog::write(const std::string& line) {
  stream_ << line << '\n' << std::flush;
  if (!stream_) fail(file_, "write the metrics log");
}

void MetricsLog::replace_contents(const std::string& contents) {
  const std::filesystem::path temporary = file_.string() + ".tmp";
  {
    std::ofstream out(temporary, std::ios::binary | std::ios::trunc);
    out << contents << std::flush;
    if (!out) fail(temporary, "write the metrics log");
  }
  std::error_code error;
  std::filesystem::rename(temporary, file_, error);
  if (error) fail(file_, "replace the metrics log");
}

MetricsHistory read_history(const std::filesystem::path& job_directory) {
  std::ifstream lines(job_directory / kFileName, std::ios::binary);
  return history_of(lines);
}

std::optional<JobProgress> read_progress(const std::filesystem::path& job_directory) {
  std::ifstream lines(job_directory / kFileName, std::ios::binary);
  if (!lines) return std::nullopt;
  lines.seekg(0, std::ios::end);
  const std::streamoff size = lines.tellg();
  lines.seekg(std::max<std::streamoff>(0, size - kTailBytes));
  const MetricsHistory tail = history_of(lines);
  if (tail.steps.empty() && tail.evaluations.empty()) return std::nullopt;
  JobProgress progress;
  if (!tail.steps.empty()) {
    const StepReport& last = tail.steps.back();
    progress = {last.step, last.num_steps, last.loss, last.samples_per_s, {}, 0};
  }
  if (!tail.evaluations.empty()) {
    progress.evaluated_step = tail.evaluations.back().step;
    progress.step = std::max(progress.step, progress.evaluated_step);
    progress.scores = tail.evaluations.back().scores;
  }
  return progress;
}

}  // namespace meshfold::jobs
