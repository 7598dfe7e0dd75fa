#include "jobs/report/html_report.hpp"

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <limits>

#include "jobs/error.hpp"
#include "jobs/report/line_chart.hpp"
#include "jobs/report/metrics_log.hpp"

namespace meshfold::jobs {
namespace {

namespace fs = std::filesystem;
using Rows = std::vector<std::vector<std::string>>;

constexpr const char* kStyle = R"css(
:root{--bg:#f7f8fa;--card:#fff;--ink:#1b1f24;--soft:#5c6670;--line:#dfe3e8;--p0:#2563c9;--p1:#c2570c;--p2:#15803d;--p3:#b4235a;
--p4:#6d3fc0;--p5:#0e7c86;--p6:#8a6d00;--p7:#64748b}
@media (prefers-color-scheme:dark){:root{--bg:#14171b;--card:#1d2126;--ink:#e8eaed;--soft:#a0a9b3;--line:#343a42;--p0:#78aaff;
--p1:#ffa35c;--p2:#5fd38a;--p3:#ff86b0;--p4:#b99cff;--p5:#53d3dd;--p6:#e3c44e;--p7:#a8b5c7}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:1160px;margin:0 auto;padding:28px 16px 48px}
h1{font-size:26px;line-height:1.2;margin:0 0 18px;overflow-wrap:anywhere} h2{font-size:17px;margin:0 0 10px}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:16px 18px;margin:0 0 16px;min-width:0}
.hero{display:flex;flex-wrap:wrap;gap:10px 44px;align-items:baseline} .hero b{display:block;font-size:34px;line-height:1.15}
.hero span{color:var(--soft)} .pair{display:grid;grid-template-columns:1fr 1fr;gap:0 16px}
.scroll{overflow-x:auto} table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:6px 10px;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child,td:first-child{text-align:left;padding-left:0} th{font-weight:600;color:var(--soft)}
tr.sum td{font-weight:600;border-top:2px solid var(--line)} tr:last-child td{border-bottom:0}
.facts td{text-align:left;white-space:normal;vertical-align:top;overflow-wrap:anywhere} .facts td:first-child{color:var(--soft);width:30%;
min-width:110px} pre{margin:0;overflow-x:auto;font:13px/1.45 ui-monospace,"DejaVu Sans Mono",monospace} summary{cursor:pointer;font-weight:600}
details[open] summary{margin-bottom:10px}
svg{display:block;width:100%;height:auto;max-width:620px} svg text{font-size:14px;fill:var(--soft)} .grid{stroke:var(--line)}
.axis{stroke:var(--soft)} .level{stroke:var(--soft);stroke-dasharray:5 4} .line{fill:none;stroke-width:2.2;stroke-linejoin:round}
.faint{stroke-width:1;opacity:.3} .touch{opacity:0} .touch:hover{opacity:1} .dot:hover{stroke:var(--ink);stroke-width:2}
.legend{display:flex;flex-wrap:wrap;gap:2px 16px;margin:0 0 6px;color:var(--soft)} .legend i{display:inline-block;width:12px;height:12px;
border-radius:3px;margin-right:6px;vertical-align:-1px} .note,.empty{color:var(--soft);margin:8px 0 0}
.c0{--c:var(--p0)}.c1{--c:var(--p1)}.c2{--c:var(--p2)}.c3{--c:var(--p3)}.c4{--c:var(--p4)}.c5{--c:var(--p5)}.c6{--c:var(--p6)}.c7{--c:var(--p7)}
polyline{stroke:var(--c)} circle{fill:var(--c)} .legend i{background:var(--c)}
@media (max-width:760px){main{padding:18px 10px 32px}.pair{grid-template-columns:1fr}section{padding:14px 12px}h1{font-size:22px}
.hero b{font-size:28px}}
)css";

std::string fixed(double value, int digits) {
  if (!std::isfinite(value)) return "n/a";
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string duration(double seconds) {
  if (!std::isfinite(seconds)) return "n/a";
  const long whole = std::lround(seconds);
  char text[48];
  if (whole < 60) {
    std::snprintf(text, sizeof text, "%.1f s", seconds);
  } else if (whole < 3600) {
    std::snprintf(text, sizeof text, "%ld min %02ld s", whole / 60, whole % 60);
  } else {
    std::snprintf(text, sizeof text, "%ld h %02ld min", whole / 3600, whole / 60 % 60);
  }
  return text;
}

double score_of(const Scores& scores, const std::string& name) {
  for (const auto& [other, value] : scores) {
    if (other == name) return value;
  }
  return std::numeric_limits<double>::quiet_NaN();
}

std::string section(const std::string& title, const std::string& body) {
  return "<section><h2>" + html_escaped(title) + "</h2>" + body + "</section>\n";
}

/// The last `sums` rows are set off from those above.
std::string table_of(const std::vector<std::string>& header, const Rows& rows, std::size_t sums) {
  std::string html = "<div class=\"scroll\"><table><thead><tr>";
  for (const auto& cell : header) html.append("<th>").append(html_escaped(cell)).append("</th>");
  html += "</tr></thead><tbody>";
  for (std::size_t row = 0; row < rows.size(); ++row) {
    html += row + sums >= rows.size() ? "<tr class=\"sum\">" : "<tr>";
    for (const auto& cell : rows[row]) html.append("<td>").append(html_escaped(cell)).append("</td>");
    html += "</tr>";
  }
  return html + "</tbody></table></div>";
}

std::string pairs_of(const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::string html = "<table class=\"facts\"><tbody>";
  for (const auto& [label, value] : pairs) {
    html.append("<tr><td>")
        .append(html_escaped(label))
        .append("</td><td>")
        .append(html_escaped(value))
        .append("</td></tr>");
  }
  return html + "</tbody></table>";
}

std::string legend_of(const std::vector<FoldSummary>& folds) {
  std::string html = "<div class=\"legend\">";
  for (std::size_t i = 0; i < folds.size(); ++i) {
    html += "<span><i class=\"c" + std::to_string(i % 8) + "\"></i>" + html_escaped(folds[i].job) + "</span>";
  }
  return html + "</div>";
}

/// Exponential moving average over about `window` points, without the pull of a start value.
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

class Page {
 public:
  Page(const fs::path& run, const RunSummary& summary) : summary_(summary) {
    for (const auto& fold : summary.folds) histories_.push_back(read_history(run / fold.job));
    if (!summary.pooled.empty()) {
      metric_ = summary.pooled.front().first;
    } else if (!summary.folds.empty() && !summary.folds.front().scores.empty()) {
      metric_ = summary.folds.front().scores.front().first;
    }
  }

  std::string html() const {
    const std::string title = html_escaped(summary_.title);
    return "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>" + title +
           "</title><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><meta name=\"color-scheme\" "
           "content=\"light dark\"><style>" +
           kStyle + "</style></head><body><main><h1>" + title + "</h1>\n" + headline() + folds() +
           "<div class=\"pair\">" + loss_curves() + score_curves() + "</div><div class=\"pair\">" + learning_rates() +
           metrics() + "</div><div class=\"pair\">" + section("Run", pairs_of(summary_.facts)) +
           section("Files", pairs_of(summary_.files)) + "</div><section><details><summary>Config</summary><pre>" +
           html_escaped(summary_.config_ini) + "</pre></details></section></main></body></html>\n";
  }

 private:
  std::string headline() const {
    const double pooled = score_of(summary_.pooled, metric_), trivial = score_of(summary_.trivial, metric_);
    if (!std::isfinite(pooled)) return {};
    std::string html = "<section class=\"hero\"><div><b>" + fixed(pooled, 4) + "</b><span>" + html_escaped(metric_) +
                       ", all out-of-fold predictions</span></div>";
    if (std::isfinite(trivial) && trivial != 0) {
      const double change = 100 * (pooled - trivial) / std::abs(trivial);
      html += "<div><b>" + fixed(trivial, 4) + "</b><span>trivial predictor</span></div><div><b>" +
              (change > 0 ? "+" : "") + fixed(change, 1) + " %</b><span>against it</span></div>";
    }
    return html + "</section>\n";
  }

  bool shows_last() const {
    for (const auto& fold : summary_.folds) {
      if (!fold.last_scores.empty()) return true;
    }
    return false;
  }

  std::string folds() const {
    if (summary_.folds.empty()) return {};
    const bool last = shows_last();
    std::vector<std::string> header = {"fold", "samples", "trained on", metric_};
    if (last) header.push_back("last epoch");
    for (const char* name : {"step used", "steps", "time", "samples/s"}) header.emplace_back(name);
    Rows rows;
    for (const auto& fold : summary_.folds) {
      std::vector<std::string> row = {std::to_string(fold.fold), std::to_string(fold.samples),
                                      std::to_string(fold.training_samples), fixed(score_of(fold.scores, metric_), 4)};
      if (last) row.push_back(fixed(score_of(fold.last_scores, metric_), 4));
      row.insert(row.end(), {std::to_string(fold.selected_step), std::to_string(fold.steps), duration(fold.seconds),
                             fixed(fold.samples_per_s, 1)});
      rows.push_back(row);
    }
    std::size_t samples = 0;
    for (const auto& fold : summary_.folds) samples += fold.samples;
    const std::size_t empty = header.size() - 4;
    const auto add_sum = [&](const char* name, const Scores& scores) {
      std::vector<std::string> row = {name, std::to_string(samples), "", fixed(score_of(scores, metric_), 4)};
      row.resize(4 + empty);
      rows.push_back(row);
    };
    std::size_t sums = 0;
    if (!summary_.pooled.empty()) add_sum("pooled", summary_.pooled), ++sums;
    if (!summary_.trivial.empty()) add_sum("trivial", summary_.trivial), ++sums;
    std::string note;
    if (last) {
      note =
          "<p class=\"note\">Each fold's weights are those of its best epoch, chosen on the rows that are scored; the "
          "last "
          "epoch stands beside it.</p>";
    }
    return section("Folds", table_of(header, rows, sums) + note);
  }

  std::string metrics() const {
    if (summary_.pooled.empty()) return {};
    Rows rows;
    for (const auto& [name, value] : summary_.pooled) {
      rows.push_back({name, fixed(value, 4), fixed(score_of(summary_.trivial, name), 4)});
    }
    return section("Out-of-fold scores", table_of({"metric", "pooled", "trivial"}, rows, 0));
  }

  std::string loss_curves() const {
    LineChart chart{"step", "training loss", {}, true, {}};
    std::vector<ChartSeries> bold;
    for (std::size_t i = 0; i < histories_.size(); ++i) {
      ChartSeries raw{summary_.folds[i].job, static_cast<int>(i), {}, false, true};
      for (const auto& step : histories_[i].steps) raw.points.emplace_back(static_cast<double>(step.step), step.loss);
      ChartSeries smooth = raw;
      smooth.faint = false;
      smooth.points = smoothed(raw.points, static_cast<double>(raw.points.size()) / 20);
      chart.series.push_back(std::move(raw));
      bold.push_back(std::move(smooth));
    }
    chart.series.insert(chart.series.end(), bold.begin(), bold.end());
    return section("Training loss", legend_of(summary_.folds) + render_svg(chart) +
                                        "<p class=\"note\">Bold: moving average; pale: single steps.</p>");
  }

  std::string score_curves() const {
    LineChart chart{"epoch", metric_, {}, false, {}};
    for (std::size_t i = 0; i < histories_.size(); ++i) {
      ChartSeries series{summary_.folds[i].job, static_cast<int>(i), {}, true, false};
      for (const auto& report : histories_[i].evaluations)
        series.points.emplace_back(report.epoch, score_of(report.scores, metric_));
      chart.series.push_back(std::move(series));
    }
    if (!summary_.trivial.empty()) chart.levels = {{"trivial", score_of(summary_.trivial, metric_)}};
    return section(metric_ + " by epoch", legend_of(summary_.folds) + render_svg(chart));
  }

  std::string learning_rates() const {
    LineChart chart{"step", "learning rate", {}, true, {}};
    for (std::size_t i = 0; i < histories_.size(); ++i) {
      ChartSeries series{summary_.folds[i].job, static_cast<int>(i), {}, false, false};
      for (const auto& step : histories_[i].steps)
        series.points.emplace_back(static_cast<double>(step.step), step.learning_rate);
      chart.series.push_back(std::move(series));
    }
    return section("Learning rate", render_svg(chart));
  }

  const RunSummary& summary_;
  std::vector<MetricsHistory> histories_;
  std::string metric_ = "score";
};

}  // namespace

void write_html_report(const fs::path& file, const fs::path& run_directory, const RunSummary& summary) {
  dist::replace_file(file, Page(run_directory, summary).html());
}

}  // namespace meshfold::jobs
