#include "jobs/cv/closing.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <numeric>

#include "jobs/cv/out_of_fold.hpp"
#include "jobs/predict/export_job.hpp"
#include "jobs/predict/finished_jobs.hpp"
#include "jobs/predict/prediction_table.hpp"
#include "jobs/report/html_report.hpp"
#include "jobs/train/evaluate.hpp"

namespace meshfold::jobs {
namespace {

namespace fs = std::filesystem;

std::string format(const char* pattern, double value) {
  char text[48];
  std::snprintf(text, sizeof text, pattern, value);
  return text;
}

/// What rmse/<target> of six targets would make too wide; the report has them all.
std::size_t num_shown(const Scores& scores) { return scores.size() <= 3 ? scores.size() : 1; }

void add_scores(std::vector<std::string>& row, const Scores& scores) {
  for (std::size_t i = 0; i < num_shown(scores); ++i) row.push_back(format("%.4f", scores[i].second));
}

FoldSummary summarize(const JobRecord& record, std::size_t samples) {
  FoldSummary summary;
  summary.fold = record.fold;
  summary.samples = samples;
  summary.training_samples = record.training_samples;
  summary.scores = record.scores;
  summary.last_scores = record.last_scores;
  summary.selected_step = record.selected_step;
  summary.steps = record.steps;
  summary.seconds = record.seconds;
  summary.samples_per_s = record.samples_per_s;
  summary.job = record.name;
  return summary;
}

void print_table(const RunSummary& summary, std::size_t num_samples, Select select, Console& console) {
  const auto& first = summary.folds.front();
  std::vector<std::string> header{"job", "samples"};
  for (std::size_t i = 0; i < num_shown(first.scores); ++i) header.push_back(first.scores[i].first);
  const bool shows_last = select == Select::kBest && !first.last_scores.empty();
  if (shows_last) header.push_back("last epoch");
  header.insert(header.end(), {"step", "time", "samples/s"});

  std::vector<std::vector<std::string>> rows;
  for (const auto& fold : summary.folds) {
    std::vector<std::string> row{fold.job, with_separators(fold.samples)};
    add_scores(row, fold.scores);
    if (shows_last) row.push_back(format("%.4f", fold.last_scores.front().second));
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
  add_total("out of fold", summary.pooled);
  add_total("trivial", summary.trivial);
  console.grid(header, rows);
}

std::vector<std::uint32_t> all_rows(const data::Dataset& dataset) {
  std::vector<std::uint32_t> rows(dataset.num_samples());
  std::iota(rows.begin(), rows.end(), 0U);
  return rows;
}

void report_and_print(RunSummary& summary, const RunConfig& config, const Facts& facts, std::size_t num_samples,
                      Console& console) {
  const fs::path run = config.run.directory;
  const auto report = run / "report.html";
  summary.facts = facts;
  summary.config_ini = config.ini_text;
  summary.files.emplace_back("report", report.string());
  write_html_report(report, run, summary);
  print_table(summary, num_samples, config.cv.select, console);
  console.table("written", summary.files);
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
  RunSummary summary;
  summary.title = run.filename().empty() ? run.parent_path().filename().string() : run.filename().string();
  for (const auto& result : results) summary.folds.push_back(summarize(result.record, result.rows.size()));
  summary.pooled = compute_scores(head, outputs, targets);
  summary.trivial =
      compute_scores(head, predict_trivially(head, targets, inputs.folds.assignment, inputs.folds.num_folds), targets);

  const auto oof = run / "oof.csv";
  write_out_of_fold(oof, config.data.id, ids, inputs.folds.assignment, head, config.data.targets, targets,
                    to_values(head, outputs));
  summary.files = {{"folds", (run / "folds.csv").string()}, {"out-of-fold predictions", oof.string()}};
  if (inputs.test != nullptr) {
    const auto submission = run / "submission.csv";
    write_submission(submission, inputs.submission, ids_of(*inputs.test), clip(mean_test_predictions(head, results)));
    summary.files.emplace_back("submission", submission.string());
  }
  std::vector<JobRecord> records;
  for (const auto& result : results) records.push_back(result.record);
  const auto& best = best_job(records);
  summary.files.emplace_back("model of " + best.name, export_job(config, best).string());
  report_and_print(summary, config, inputs.facts, ids.size(), console);
}

void close_training(const RunConfig& config, const JobResult& result, const Facts& facts, Console& console) {
  RunSummary summary;
  const fs::path run = config.run.directory;
  summary.title = run.filename().empty() ? run.parent_path().filename().string() : run.filename().string();
  summary.folds.push_back(summarize(result.record, result.rows.size()));
  summary.files.emplace_back("model", export_job(config, result.record).string());
  report_and_print(summary, config, facts, result.rows.size(), console);
}

}  // namespace meshfold::jobs
