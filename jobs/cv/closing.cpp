#include "jobs/cv/closing.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <numeric>

#include "jobs/cv/out_of_fold.hpp"
#include "jobs/report/html_report.hpp"
#include "jobs/results/export_job.hpp"
#include "jobs/results/finished_jobs.hpp"
#include "jobs/results/prediction_table.hpp"
#include "jobs/run/startup_facts.hpp"
#include "jobs/train/pack_input.hpp"

namespace meshfold::jobs {
namespace {

namespace fs = std::filesystem;

std::string format(const char* pattern, double value) {
  char text[48];
  std::snprintf(text, sizeof text, pattern, value);
  return text;
}

std::string score_text(double score) { return std::isfinite(score) ? format("%.4f", score) : "n/a"; }

/// The report has all of them.
void add_scores(std::vector<std::string>& row, const Scores& scores) {
  for (const auto& [name, score] : headline(scores)) row.push_back(score_text(score));
}

void print_table(const RunRecord& run, std::size_t num_samples, Select select, Console& console) {
  const auto& first = run.folds.front();
  std::vector<std::string> header{"job", "samples"};
  for (const auto& [name, score] : headline(first.scores)) header.push_back(name);
  const bool shows_last = select == Select::kBest && !first.last_scores.empty();
  if (shows_last) header.push_back("last epoch");
  header.insert(header.end(), {"step", "time", "samples/s"});

  std::vector<std::vector<std::string>> rows;
  for (const auto& fold : run.folds) {
    std::vector<std::string> row{fold.job, with_separators(fold.samples)};
    add_scores(row, fold.scores);
    if (shows_last) row.push_back(score_text(fold.last_scores.front().second));
    row.push_back(std::to_string(fold.selected_step) + "/" + std::to_string(fold.steps));
    row.push_back(format("%.0f s", fold.seconds));
    row.push_back(fold.samples_per_s > 0 ? format("%.1f", fold.samples_per_s) : "");
    rows.push_back(std::move(row));
  }
  const auto add_total = [&](const char* name, const Scores& scores) {
    if (scores.empty()) return;
    std::vector<std::string> row{name, with_separators(num_samples)};
    add_scores(row, scores);
    row.resize(header.size());
    rows.push_back(std::move(row));
  };
  add_total("out of fold", run.notes.pooled);
  add_total("trivial", run.notes.trivial);
  console.grid(header, rows);
}

std::vector<std::uint32_t> all_rows(const data::Dataset& dataset) {
  std::vector<std::uint32_t> rows(dataset.num_samples());
  std::iota(rows.begin(), rows.end(), 0U);
  return rows;
}

/// The page is made of the run's files alone, as `meshfold report` does later.
void report_and_print(const fs::path& run, RunNotes notes, std::size_t num_samples, Select select, Console& console) {
  const auto report = run / "report.html";
  notes.files.emplace_back("report", report.string());
  write_notes(run, notes);
  const auto record = read_run(run);
  write_html_report(report, record);
  print_table(record, num_samples, select, console);
  console.table("written", notes.files);
}

}  // namespace

void close_cross_validation(const ClosingInputs& inputs, const std::vector<JobResult>& results, Console& console) {
  const auto& config = inputs.config;
  const auto& head = inputs.head;
  const fs::path run = config.run.directory;
  const auto ids = ids_of(inputs.training);
  const auto targets = targets_of(inputs.training, all_rows(inputs.training));
  const auto clip = [&](const at::Tensor& values) {
    return clip_values(head, values, config.cv.clip_min, config.cv.clip_max);
  };

  const auto outputs = clip(collect_out_of_fold(results, inputs.folds.assignment, ids));
  const std::string metric = config.cv.metric.name_for(head.task);
  auto notes = inputs.notes;
  notes.pooled = compute_scores(head, outputs, targets, metric);
  notes.trivial = compute_scores(
      head, predict_trivially(head, targets, inputs.folds.assignment, inputs.folds.num_folds), targets, metric);

  const auto oof = run / "oof.csv";
  write_out_of_fold(oof, config.data.id, ids, inputs.folds.assignment, head, config.data.targets, targets,
                    to_values(head, outputs));
  notes.files = {{"folds", (run / "folds.csv").string()}, {"out-of-fold predictions", oof.string()}};
  if (inputs.test != nullptr) {
    const auto submission = run / "submission.csv";
    write_submission(submission, inputs.submission, ids_of(*inputs.test), clip(mean_test_predictions(head, results)));
    notes.files.emplace_back("submission", submission.string());
  }
  std::vector<JobRecord> records;
  for (const auto& result : results) records.push_back(result.record);
  const auto& best = best_job(records);
  notes.files.emplace_back("model of " + best.name, export_job(config, best).string());
  report_and_print(run, std::move(notes), ids.size(), config.cv.select, console);
}

void close_training(const RunConfig& config, const data::Dataset& training, const JobResult& result, RunNotes notes,
                    Console& console) {
  const fs::path run = config.run.directory;
  const auto& record = result.record;
  notes.pooled = record.scores;
  if (!result.rows.empty()) {
    const auto file = run / "validation.csv";
    const auto ids = ids_of(training);
    std::vector<std::string> held_out;
    for (const auto row : result.rows) held_out.push_back(ids[row]);
    write_out_of_fold(file, config.data.id, held_out, data::FoldAssignment(held_out.size(), 0), record.head,
                      config.data.targets, targets_of(training, result.rows),
                      to_values(record.head, result.validation_predictions));
    notes.files.emplace_back("validation predictions", file.string());
  }
  notes.files.emplace_back("model", export_job(config, record).string());
  report_and_print(run, std::move(notes), result.rows.size(), config.cv.select, console);
}

}  // namespace meshfold::jobs
