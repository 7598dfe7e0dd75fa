#include "jobs/report/html_report.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <limits>
#include <sstream>
#include <vector>

#include "jobs/report/line_chart.hpp"
#include "jobs/report/metrics_log.hpp"

namespace meshfold::jobs {
namespace {

namespace fs = std::filesystem;

/// The first tag that is not closed in order, or nothing. Void elements of HTML and self-closed ones need no end.
std::string first_unbalanced_tag(const std::string& html) {
  std::vector<std::string> open;
  for (std::size_t i = 0; (i = html.find('<', i)) != std::string::npos;) {
    const std::size_t end = html.find('>', i);
    if (end == std::string::npos) return html.substr(i, 20);
    const std::string tag = html.substr(i + 1, end - i - 1);
    const std::string name = tag.substr(0, tag.find_first_of(" /", 1));
    i = end;
    if (tag.front() == '!' || tag.back() == '/' || name == "meta") continue;
    if (tag.front() != '/') {
      open.push_back(name);
    } else if (open.empty() || "/" + open.back() != tag) {
      return tag;
    } else {
      open.pop_back();
    }
  }
  return open.empty() ? "" : open.back();
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t number = 0;
  for (std::size_t i = 0; (i = text.find(part, i)) != std::string::npos; i += part.size()) ++number;
  return number;
}

TEST(HtmlReport, ShowsScoresCurvesAndConfigAndIsWellFormed) {
  const auto run = fs::temp_directory_path() / ("meshfold-report-" + std::to_string(getpid()));
  RunSummary summary;
  summary.title = "a <b> & \"c\"";
  for (int fold = 0; fold < 2; ++fold) {
    MetricsLog log(run / ("fold-" + std::to_string(fold)), fold, 1);
    for (int step = 1; step <= 10; ++step) log.on_step({step, 10, 0.1 * step, step, 1.0 / step, 1e-4, 1, 100, 10});
    log.on_evaluation({5, 1, {{"mcrmse", 0.7}}, false, 1});
    log.on_evaluation({10, 2, {{"mcrmse", 0.6}}, true, 1});
    summary.folds.push_back(
        {fold, 20, 40, {{"mcrmse", 0.6125}}, {{"mcrmse", 0.6175}}, 5, 10, 61.0, 12.5, "fold-" + std::to_string(fold)});
  }
  summary.pooled = {{"mcrmse", 0.6133}};
  summary.trivial = {{"mcrmse", 0.8000}};
  summary.config_ini = "[run]\nseed = 42\n";

  write_html_report(run / "report.html", run, summary);

  std::ostringstream text;
  text << std::ifstream(run / "report.html").rdbuf();
  fs::remove_all(run);
  const std::string html = text.str();
  EXPECT_EQ(first_unbalanced_tag(html), "");
  for (const char* part :
       {"a &lt;b&gt; &amp; &quot;c&quot;", "0.6133", "0.8000", "0.6175", "1 min 01 s", "seed = 42"}) {
    EXPECT_NE(html.find(part), std::string::npos) << part;
  }
  EXPECT_EQ(count(html, "<svg"), 3U);
  EXPECT_EQ(count(html, "class=\"dot"), 4U);
  EXPECT_EQ(html.find("http"), std::string::npos) << "the page must not load anything";
  EXPECT_EQ(html.find("<script"), std::string::npos);
}

TEST(LineChart, LeavesOutWhatIsNotFinite) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::string svg = render_svg({"x", "y", {{"a", 0, {{0, 1}, {1, nan}, {2, 3}}, true, false}}, false, {}});

  EXPECT_EQ(count(svg, "<circle"), 2U);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_NE(render_svg({"x", "y", {{"a", 0, {{0, nan}}, true, false}}, false, {}}).find("no points"),
            std::string::npos);
}

TEST(LineChart, DrawsASinglePointAsADot) {
  const std::string svg = render_svg({"x", "y", {{"a", 0, {{1, 5}}, false, false}}, false, {}});

  EXPECT_EQ(svg.find("inf"), std::string::npos);
  EXPECT_EQ(count(svg, "class=\"dot"), 1U);
}

}  // namespace
}  // namespace meshfold::jobs
