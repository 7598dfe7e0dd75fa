#include "jobs/report/run_record.hpp"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "data/csv_table.hpp"
#include "data/text_template.hpp"
#include "jobs/report/run_status.hpp"
#include "jobs/results/job_result.hpp"

namespace meshfold::jobs {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

std::string contents_of(const fs::path& file) {
  std::ostringstream contents;
  contents << std::ifstream(file, std::ios::binary).rdbuf();
  return contents.str();
}

/// Held-out rows of each fold as folds.csv has them, which is there from a run's first minute on.
std::map<int, std::size_t> rows_by_fold(const fs::path& run) {
  std::map<int, std::size_t> rows;
  if (!fs::exists(run / "folds.csv")) return rows;
  const auto table = data::CsvTable::open(run / "folds.csv");
  const auto column = table.column("fold");
  for (std::size_t row = 0; row < table.num_rows(); ++row) ++rows[static_cast<int>(table.number(row, column))];
  return rows;
}

JobSummary summary_of(const fs::path& run, const JobStatus& job, const std::map<int, std::size_t>& rows) {
  JobSummary summary;
  summary.id = job.id;
  summary.history = read_history(run / job.id.name);
  summary.scores = job.scores;
  summary.selected_step = summary.steps = job.step;
  summary.samples_per_s = job.samples_per_s;
  for (const auto& evaluation : summary.history.evaluations) summary.evaluation_seconds += evaluation.seconds;
  for (const auto& [number, count] : rows)
    (number == summary.id.fold ? summary.samples : summary.training_samples) += count;
  if (const auto record = read_record(run / job.id.name)) {
    summary.finished = true;
    summary.training_samples = record->training_samples;
    summary.last_scores = record->last_scores;
    summary.selected_step = record->selected_step;
    summary.steps = record->steps;
    summary.seconds = record->seconds;
  }
  return summary;
}

/// Every column that a row's texts are made of, once each, in the order in which the model reads them.
std::vector<std::string> text_columns_of(const Json& options) {
  std::vector<std::string> own;
  std::istringstream list(options.value("data.texts", ""));
  for (std::string name; std::getline(list, name, ',');) own.push_back(name);
  if (own.empty()) own.push_back(options.value("data.text", ""));
  std::vector<std::string> columns;
  const auto add = [&](const std::string& name) {
    if (!name.empty() && std::ranges::count(columns, name) == 0) columns.push_back(name);
  };
  for (const auto& view : data::make_templates(options.value("data.templates", ""), own)) {
    for (const auto& piece : view.pieces) {
      if (piece.kind == data::TextTemplate::Piece::Kind::kColumn) add(piece.text);
    }
  }
  add(options.value("data.text_pair", ""));
  return columns;
}

/// run.json rather than config.ini: its values need no reader of INI files.
void take_options(const fs::path& run, RunRecord& record) {
  std::ifstream in(run / "run.json", std::ios::binary);
  const auto json = Json::parse(in, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("options")) return;
  const auto& options = json["options"];
  record.train_table = options.value("data.train", "");
  record.id_column = options.value("data.id", "");
  record.text_columns = text_columns_of(options);
}

}  // namespace

RunRecord read_run(const fs::path& run) {
  const auto status = status_of(run, std::chrono::system_clock::now());
  RunRecord record;
  record.directory = run;
  const auto absolute = fs::absolute(run).lexically_normal();
  record.title = (absolute.has_filename() ? absolute : absolute.parent_path()).filename().string();
  record.state = name_of(status.state);
  record.notes = read_notes(run).value_or(RunNotes{});
  const auto rows = rows_by_fold(run);
  for (const auto& job : status.jobs) record.jobs.push_back(summary_of(run, job, rows));
  record.config_ini = contents_of(run / "config.ini");
  take_options(run, record);
  // Predictions of an earlier, finished start do not belong to one that is at work.
  if (!record.notes.pooled.empty()) {
    const auto file = run / (record.notes.command == "train" ? "validation.csv" : "oof.csv");
    record.held_out = read_held_out(file, record.notes.task, record.notes.labels);
  }
  return record;
}

double score_of(const Scores& scores, const std::string& name) {
  for (const auto& [other, value] : scores) {
    if (other == name) return value;
  }
  return std::numeric_limits<double>::quiet_NaN();
}

std::string main_metric(const RunRecord& run) {
  if (!run.notes.pooled.empty()) return run.notes.pooled.front().first;
  for (const auto& job : run.jobs) {
    if (!job.scores.empty()) return job.scores.front().first;
  }
  return "score";
}

}  // namespace meshfold::jobs
