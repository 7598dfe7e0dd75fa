#include "jobs/run/closing.hpp"

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "base/text.hpp"
#include "jobs/report/html_report.hpp"
#include "jobs/report/run_record.hpp"

namespace meshfold::jobs {
namespace {

namespace fs = std::filesystem;

std::string score_text(double score) { return std::isfinite(score) ? base::format("%.4f", score) : "n/a"; }

/// The report has all of them.
void add_scores(std::vector<std::string>& row, const Scores& scores) {
  for (const auto& [name, score] : headline(scores)) row.push_back(score_text(score));
}

void print_table(const RunRecord& run, std::size_t num_samples, Select select, Console& console) {
  const auto& first = run.jobs.front();
  std::vector<std::string> header{"job", "samples"};
  for (const auto& [name, score] : headline(first.scores)) header.push_back(name);
  const bool shows_last = select == Select::kBest && !first.last_scores.empty();
  if (shows_last) header.push_back("last epoch");
  header.insert(header.end(), {"step", "time", "samples/s"});

  std::vector<std::vector<std::string>> rows;
  for (const auto& job : run.jobs) {
    std::vector<std::string> row{job.id.name, base::with_separators(job.samples)};
    add_scores(row, job.scores);
    if (shows_last) row.push_back(score_text(job.last_scores.front().second));
    row.push_back(std::to_string(job.selected_step) + "/" + std::to_string(job.steps));
    row.push_back(base::format("%.0f s", job.seconds));
    row.push_back(job.samples_per_s > 0 ? base::format("%.1f", job.samples_per_s) : "");
    rows.push_back(std::move(row));
  }
  const auto add_total = [&](const char* name, const Scores& scores) {
    if (scores.empty()) return;
    std::vector<std::string> row{name, base::with_separators(num_samples)};
    add_scores(row, scores);
    row.resize(header.size());
    rows.push_back(std::move(row));
  };
  add_total("out of fold", run.notes.pooled);
  add_total("trivial", run.notes.trivial);
  console.grid(header, rows);
}

}  // namespace

void close_run(const RunConfig& config, RunNotes notes, std::size_t num_samples, Console& console) {
  const fs::path run = config.run.directory;
  const auto report = run / "report.html";
  notes.files.emplace_back("report", report.string());
  write_notes(run, notes);
  const auto record = read_run(run);
  write_html_report(report, record);
  print_table(record, num_samples, config.cv.select, console);
  console.table("written", notes.files);
}

}  // namespace meshfold::jobs
