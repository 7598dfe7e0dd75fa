#include "jobs/report/tensorboard_log.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>

#include "jobs/error.hpp"
#include "jobs/report/tensorboard_events.hpp"

namespace meshfold::jobs {
namespace {

double now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

std::string host_name() {
  char name[256] = "";
  ::gethostname(name, sizeof name - 1);
  return name[0] != '\0' ? name : "localhost";
}

/// An INI text as a Markdown code block: each line is indented.
std::string as_code(const std::string& ini) {
  std::string markdown = "    ";
  for (const char c : ini) {
    markdown += c;
    if (c == '\n') markdown += "    ";
  }
  return markdown;
}

}  // namespace

TensorBoardLog::TensorBoardLog(const std::filesystem::path& job_directory, int every_steps, std::string config_ini)
    : prefix_(job_directory.filename().string() + "/"),
      every_steps_(std::max(1, every_steps)),
      config_ini_(std::move(config_ini)) {
  std::error_code ignored;
  std::filesystem::create_directories(job_directory, ignored);
  // Readers take the files of a directory in the order of their names, so the time comes first.
  file_ = job_directory / ("events.out.tfevents." + std::to_string(static_cast<long long>(now())) + "." + host_name() +
                           "." + std::to_string(::getpid()));
  stream_.open(file_, std::ios::binary | std::ios::app);
  write(version_event(now()));
}

void TensorBoardLog::on_resume(std::int64_t step) {
  last_step_ = step;
  write(restart_event(now(), step + 1));
  if (step == 0) text(0, "config", as_code(config_ini_));
}

void TensorBoardLog::on_step(const StepReport& report) {
  last_step_ = report.step;
  if (report.step % every_steps_ != 0 && report.step != report.num_steps) return;
  scalar(report.step, "train/loss", report.loss);
  scalar(report.step, "train/learning_rate", report.learning_rate);
  scalar(report.step, "train/grad_norm", report.grad_norm);
  scalar(report.step, "train/tokens_per_s", report.tokens_per_s);
  scalar(report.step, "train/samples_per_s", report.samples_per_s);
}

void TensorBoardLog::on_evaluation(const EvaluationReport& report) {
  last_step_ = report.step;
  for (const auto& [name, value] : report.scores) scalar(report.step, "eval/" + name, value);
}

void TensorBoardLog::on_note(const std::string& note) { text(last_step_, "notes", note); }

void TensorBoardLog::scalar(std::int64_t step, std::string_view tag, double value) {
  const std::array tags = {prefix_ + std::string(tag), std::string(tag)};
  write(scalar_event(now(), step, tags, static_cast<float>(value)));
}

void TensorBoardLog::text(std::int64_t step, std::string_view tag, std::string_view markdown) {
  write(text_event(now(), step, prefix_ + std::string(tag), markdown));
}

void TensorBoardLog::write(const std::string& event) {
  errno = 0;
  const std::string record = tf_record(event);
  stream_.write(record.data(), static_cast<std::streamsize>(record.size())).flush();
  if (!stream_) {
    throw StorageError(file_.string() + ": cannot write the TensorBoard events: " + std::strerror(errno) +
                       "; free space, or set log.tensorboard = false");
  }
}

}  // namespace meshfold::jobs
