#include "jobs/report/comparison.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/durable_file.hpp"
#include "jobs/report/html.hpp"
#include "jobs/report/html_report.hpp"
#include "jobs/report/line_chart.hpp"

namespace meshfold::jobs {
namespace {

using Rows = std::vector<std::vector<std::string>>;
using Points = std::vector<std::pair<double, double>>;

constexpr std::size_t kCurvePoints = 100;
constexpr const char* kNotSet = "not set";

std::optional<std::string> value_of(const ComparedRun& run, const std::string& key) {
  const auto found = std::ranges::find(run.options, key, &std::pair<std::string, std::string>::first);
  return found == run.options.end() ? std::nullopt : std::optional(found->second);
}

/// Each name once, in the order of first appearance.
template <typename Names>
std::vector<std::string> distinct(const Names& names) {
  std::vector<std::string> result;
  for (const auto& name : names) {
    if (std::ranges::find(result, name) == result.end()) result.push_back(name);
  }
  return result;
}

std::vector<std::string> header_of(const char* first, const std::vector<ComparedRun>& runs) {
  std::vector<std::string> header = {first};
  for (const auto& run : runs) header.push_back(run.name);
  return header;
}

std::string signed_number(double value) { return (value < 0 ? "" : "+") + fixed_number(value, 4); }

/// The curve's value at `x`, straight between its points; `points` cover x.
double value_at(const Points& points, double x) {
  const auto after = std::ranges::lower_bound(points, x, {}, &std::pair<double, double>::first);
  if (after == points.begin()) return after->second;
  if (after == points.end()) return points.back().second;
  const auto before = after - 1;
  const double share = (x - before->first) / (after->first - before->first);
  return before->second + share * (after->second - before->second);
}

Points loss_of(const JobSummary& job) {
  Points points;
  for (const auto& step : job.history.steps) points.emplace_back(step.epoch, step.loss);
  return smoothed(points, static_cast<double>(points.size()) / 20);
}

Points scores_of(const JobSummary& job, const std::string& metric) {
  Points points;
  for (const auto& evaluation : job.history.evaluations) {
    const double score = score_of(evaluation.scores, metric);
    if (std::isfinite(score)) points.emplace_back(evaluation.epoch, score);
  }
  return points;
}

template <typename CurveOfFold>
std::string chart_section(const std::string& title, const std::string& y_label, const std::vector<ComparedRun>& runs,
                          const CurveOfFold& curve_of) {
  LineChart chart{"epoch", y_label, {}, false, {}};
  std::vector<std::string> names;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    std::vector<Points> curves;
    for (const auto& job : runs[i].record.jobs) curves.push_back(curve_of(job));
    chart.series.push_back({runs[i].name, static_cast<int>(i), mean_curve(curves), false, false});
    names.push_back(runs[i].name);
  }
  return html_section(title, html_legend(names) + render_svg(chart) + html_note("Mean over the folds."));
}

}  // namespace

Rows differing_options(const std::vector<ComparedRun>& runs) {
  std::vector<std::string> keys;
  for (const auto& run : runs) {
    for (const auto& [key, value] : run.options) keys.push_back(key);
  }
  Rows rows;
  for (const auto& key : distinct(keys)) {
    std::vector<std::string> row = {key};
    for (const auto& run : runs) row.push_back(value_of(run, key).value_or(kNotSet));
    if (std::adjacent_find(row.begin() + 1, row.end(), std::not_equal_to<>()) != row.end()) rows.push_back(row);
  }
  return rows;
}

Rows score_rows(const std::vector<ComparedRun>& runs) {
  std::vector<std::string> metrics;
  for (const auto& run : runs) {
    for (const auto& [name, value] : run.record.notes.pooled) metrics.push_back(name);
  }
  Rows rows;
  for (const auto& metric : distinct(metrics)) {
    std::vector<std::string> row = {metric};
    const double first = score_of(runs.front().record.notes.pooled, metric);
    for (const auto& run : runs) {
      const double score = score_of(run.record.notes.pooled, metric);
      std::string cell = std::isfinite(score) ? fixed_number(score, 4) : "";
      if (&run != &runs.front() && std::isfinite(score - first)) cell += " (" + signed_number(score - first) + ")";
      row.push_back(cell);
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

Rows fold_rows(const std::vector<ComparedRun>& runs) {
  std::vector<std::string> names;
  for (const auto& run : runs) {
    for (const auto& job : run.record.jobs) names.push_back(job.id.name);
  }
  Rows rows;
  for (const auto& name : distinct(names)) {
    std::vector<std::string> row = {name};
    for (const auto& run : runs) {
      const auto job = std::ranges::find(run.record.jobs, name, [](const JobSummary& each) { return each.id.name; });
      const double score = job == run.record.jobs.end() ? std::nan("") : score_of(job->scores, main_metric(run.record));
      row.push_back(std::isfinite(score) ? fixed_number(score, 4) + (job->finished ? "" : " *") : "");
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

Points mean_curve(const std::vector<Points>& curves) {
  std::vector<Points> filled;
  std::ranges::copy_if(curves, std::back_inserter(filled), [](const Points& points) { return !points.empty(); });
  if (filled.empty()) return {};
  double from = filled.front().front().first, to = filled.front().back().first;
  for (const auto& points : filled) {
    from = std::max(from, points.front().first);
    to = std::min(to, points.back().first);
  }
  Points mean;
  for (std::size_t i = 0; i < kCurvePoints && from <= to; ++i) {
    const double x = from + (to - from) * static_cast<double>(i) / (kCurvePoints - 1);
    double sum = 0;
    for (const auto& points : filled) sum += value_at(points, x);
    mean.emplace_back(x, sum / static_cast<double>(filled.size()));
    if (from == to) break;
  }
  return mean;
}

void print_comparison(const std::vector<ComparedRun>& runs, Console& console) {
  const auto options = differing_options(runs), scores = score_rows(runs), folds = fold_rows(runs);
  if (options.empty()) console.say("the runs have the same options");
  if (!options.empty()) console.grid(header_of("option", runs), options);
  if (!scores.empty()) console.grid(header_of("pooled score", runs), scores);
  if (!folds.empty()) console.grid(header_of(main_metric(runs.front().record).c_str(), runs), folds);
}

void write_comparison(const std::filesystem::path& file, const std::vector<ComparedRun>& runs) {
  const auto metric = main_metric(runs.front().record);
  const auto options = differing_options(runs);
  const auto scores = score_rows(runs);
  std::string body;
  if (!scores.empty()) {
    body += html_section("Pooled scores", html_table(header_of("metric", runs), scores) +
                                              html_note("In brackets: the difference to the first run."));
  }
  body += html_grid({chart_section("Training loss", "training loss", runs, loss_of),
                     chart_section(metric + " by epoch", metric, runs,
                                   [&](const JobSummary& job) { return scores_of(job, metric); })});
  body += html_section("Folds: " + metric, html_table(header_of("fold", runs), fold_rows(runs)) +
                                               html_note("* has not finished: the score of its last evaluation."));
  body += html_section("Options that differ",
                       options.empty() ? html_note("None.") : html_table(header_of("option", runs), options));
  std::string title;
  for (const auto& run : runs) title += (title.empty() ? "" : " against ") + run.name;
  base::replace_file(file, html_page(title, body));
}

}  // namespace meshfold::jobs
