#include "jobs/report/html_report.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/durable_file.hpp"
#include "jobs/report/html.hpp"
#include "jobs/report/line_chart.hpp"
#include "jobs/report/prediction_sections.hpp"
#include "jobs/report/scatter_chart.hpp"
#include "jobs/utc_time.hpp"

namespace meshfold::jobs {
namespace {

using Rows = std::vector<std::vector<std::string>>;

constexpr std::size_t kMaxMetricCharts = 6;

class Report {
 public:
  explicit Report(const RunRecord& run) : run_(run), metric_(main_metric(run)) {}

  std::string html() const {
    const auto& notes = run_.notes;
    return html_page(run_.title, headline() + folds() + html_grid(curves()) + prediction_sections(run_) +
                                     html_grid({lengths(), throughput()}) + metrics() +
                                     html_grid({facts("Run", notes.facts), facts("Files", notes.files)}) +
                                     html_details("Config", "<pre>" + html_escaped(run_.config_ini) + "</pre>"));
  }

 private:
  std::string headline() const {
    const double pooled = score_of(run_.notes.pooled, metric_), trivial = score_of(run_.notes.trivial, metric_);
    if (!std::isfinite(pooled)) {
      const auto finished = std::ranges::count(run_.jobs, true, &JobSummary::finished);
      return "<section class=\"hero\"><div><b>" + html_escaped(run_.state) + "</b><span>" + std::to_string(finished) +
             " of " + std::to_string(run_.jobs.size()) + " finished</span></div></section>\n";
    }
    const bool out_of_fold = run_.notes.command != "train";
    std::string html = "<section class=\"hero\"><div><b>" + fixed_number(pooled, 4) + "</b><span>" +
                       html_escaped(metric_) + ", all " + (out_of_fold ? "out-of-fold" : "validation") +
                       " predictions</span></div>";
    if (std::isfinite(trivial) && trivial != 0) {
      const double change = 100 * (pooled - trivial) / std::abs(trivial);
      html += "<div><b>" + fixed_number(trivial, 4) + "</b><span>trivial predictor</span></div><div><b>" +
              (change > 0 ? "+" : "") + fixed_number(change, 1) + " %</b><span>against it</span></div>";
    }
    return html + "</section>\n";
  }

  bool shows_last() const {
    return std::ranges::any_of(run_.jobs, [](const JobSummary& job) { return !job.last_scores.empty(); });
  }

  std::string folds() const {
    if (run_.jobs.empty()) return {};
    const bool last = shows_last();
    std::vector<std::string> header = {"fold", "samples", "trained on", metric_};
    if (last) header.emplace_back("last epoch");
    for (const char* name : {"step used", "steps", "time", "evaluating", "samples/s"}) header.emplace_back(name);
    Rows rows;
    std::size_t samples = 0;
    bool all_finished = true;
    for (const auto& job : run_.jobs) {
      samples += job.samples;
      all_finished = all_finished && job.finished;
      std::vector<std::string> row = {job.id.name + (job.finished ? "" : " *"), std::to_string(job.samples),
                                      std::to_string(job.training_samples),
                                      fixed_number(score_of(job.scores, metric_), 4)};
      if (last) row.push_back(fixed_number(score_of(job.last_scores, metric_), 4));
      row.insert(row.end(), {std::to_string(job.selected_step), std::to_string(job.steps),
                             job.finished ? duration_text(job.seconds) : "", duration_text(job.evaluation_seconds),
                             fixed_number(job.samples_per_s, 1)});
      rows.push_back(std::move(row));
    }
    std::size_t sums = 0;
    for (const auto& [name, scores] : {std::pair("pooled", run_.notes.pooled), {"trivial", run_.notes.trivial}}) {
      if (scores.empty()) continue;
      rows.push_back({name, std::to_string(samples), "", fixed_number(score_of(scores, metric_), 4)});
      rows.back().resize(header.size());
      ++sums;
    }
    std::string notes;
    if (!all_finished) notes += html_note("* has not finished: the score is that of its last evaluation.");
    if (last) {
      notes += html_note(
          "Each fold's weights are those of its best epoch, chosen on the rows that are scored; the last epoch stands "
          "beside it.");
    }
    return html_section("Folds", html_table(header, rows, sums) + notes);
  }

  std::string metrics() const {
    if (run_.notes.pooled.empty()) return {};
    Rows rows;
    for (const auto& [name, value] : run_.notes.pooled) {
      rows.push_back({name, fixed_number(value, 4), fixed_number(score_of(run_.notes.trivial, name), 4)});
    }
    return html_section("All scores", html_table({"metric", "pooled", "trivial"}, rows));
  }

  std::string legend() const {
    std::vector<std::string> names;
    for (const auto& job : run_.jobs) names.push_back(job.id.name);
    return html_legend(names);
  }

  /// One line per job through the training steps.
  std::vector<ChartSeries> step_series(const std::function<double(const StepReport&)>& value) const {
    std::vector<ChartSeries> all;
    for (std::size_t i = 0; i < run_.jobs.size(); ++i) {
      ChartSeries series{run_.jobs[i].id.name, static_cast<int>(i), {}, false, false};
      for (const auto& step : run_.jobs[i].history.steps) {
        series.points.emplace_back(static_cast<double>(step.step), value(step));
      }
      all.push_back(std::move(series));
    }
    return all;
  }

  /// Single steps pale, their moving average over them.
  static std::vector<ChartSeries> with_average(std::vector<ChartSeries> raw) {
    auto bold = raw;
    for (auto& series : raw) series.faint = true;
    for (auto& series : bold) {
      series.points = smoothed(series.points, static_cast<double>(series.points.size()) / 20);
    }
    raw.insert(raw.end(), bold.begin(), bold.end());
    return raw;
  }

  std::string loss_curves() const {
    const LineChart chart{"step", "training loss", with_average(step_series(&StepReport::loss)), true, {}};
    return html_section("Training loss",
                        legend() + render_svg(chart) + html_note("Bold: moving average; pale: single steps."));
  }

  std::string gradient_norms() const {
    const LineChart chart{"step", "gradient norm", with_average(step_series(&StepReport::grad_norm)), true, {}};
    return html_section("Gradient norm", render_svg(chart) + html_note("Before clipping."));
  }

  std::string learning_rates() const {
    const LineChart chart{"step", "learning rate", step_series(&StepReport::learning_rate), true, {}};
    return html_section("Learning rate", render_svg(chart));
  }

  std::string throughput() const {
    const LineChart chart{"step", "tokens/s", with_average(step_series(&StepReport::tokens_per_s)), true, {}};
    return html_section("Throughput", render_svg(chart) + html_note("Tokens a second of each fold's rank group."));
  }

  std::string score_curves(const std::string& metric) const {
    LineChart chart{"epoch", metric, {}, false, {}};
    bool any = false;
    for (std::size_t i = 0; i < run_.jobs.size(); ++i) {
      ChartSeries series{run_.jobs[i].id.name, static_cast<int>(i), {}, true, false};
      for (const auto& report : run_.jobs[i].history.evaluations) {
        series.points.emplace_back(report.epoch, score_of(report.scores, metric));
        any = true;
      }
      chart.series.push_back(std::move(series));
    }
    if (!any) return {};
    if (!run_.notes.trivial.empty()) chart.levels = {{"trivial", score_of(run_.notes.trivial, metric)}};
    return html_section(metric + " by epoch", legend() + render_svg(chart));
  }

  std::vector<std::string> curves() const {
    std::vector<std::string> sections = {loss_curves(), score_curves(metric_)};
    for (const auto& name : more_metrics()) sections.push_back(score_curves(name));
    sections.push_back(learning_rates());
    sections.push_back(gradient_norms());
    return sections;
  }

  /// Those besides the main one that are not of one target or class alone.
  std::vector<std::string> more_metrics() const {
    std::vector<std::string> names;
    for (const auto& job : run_.jobs) {
      for (const auto& evaluation : job.history.evaluations) {
        for (const auto& [name, value] : evaluation.scores) {
          const bool seen = std::ranges::find(names, name) != names.end();
          if (name != metric_ && !seen && name.find('/') == std::string::npos) names.push_back(name);
        }
      }
    }
    names.resize(std::min(names.size(), kMaxMetricCharts));
    return names;
  }

  std::string lengths() const {
    const auto& lengths = run_.notes.lengths;
    if (lengths.counts.empty()) return {};
    const Histogram histogram{"tokens", "texts", static_cast<double>(lengths.low), static_cast<double>(lengths.width),
                              lengths.counts};
    return html_section("Lengths",
                        render_svg(histogram) +
                            html_note("Training texts by tokens; the longest has " + std::to_string(lengths.longest) +
                                      ", and " + std::to_string(lengths.at_limit) + " reach tokenizer.max_length."));
  }

  static std::string facts(const char* title, const std::vector<std::pair<std::string, std::string>>& pairs) {
    return pairs.empty() ? std::string() : html_section(title, html_facts(pairs));
  }

  const RunRecord& run_;
  std::string metric_;
};

}  // namespace

std::vector<std::pair<double, double>> smoothed(const std::vector<std::pair<double, double>>& points, double window) {
  std::vector<std::pair<double, double>> result;
  const double keep = 1 - 1 / std::max(1.0, window);
  double sum = 0, weight = 0;
  for (const auto& [x, y] : points) {
    if (!std::isfinite(y)) continue;
    sum = keep * sum + y;
    weight = keep * weight + 1;
    result.emplace_back(x, sum / weight);
  }
  return result;
}

void write_html_report(const std::filesystem::path& file, const RunRecord& run) {
  base::replace_file(file, Report(run).html());
}

}  // namespace meshfold::jobs
