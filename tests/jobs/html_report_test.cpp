#include "jobs/report/html_report.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <limits>
#include <sstream>
#include <vector>

#include "jobs/report/line_chart.hpp"
#include "jobs/report/metrics_log.hpp"
#include "jobs/report/run_notes.hpp"

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

/// A run directory of two folds whose texts, names and numbers need care.
class RunDirectory {
 public:
  RunDirectory() {
    fs::create_directories(path);
    write("run.json", R"({"options": {"data.train": ")" + (path / "train.csv").string() +
                          R"(", "data.id": "id", "data.text": "text", "data.text_pair": ""}})");
    write("config.ini", "[run]\nseed = 42\n");
  }
  ~RunDirectory() { fs::remove_all(path); }
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;

  void write(const std::string& name, const std::string& text) const { std::ofstream(path / name) << text; }
  void write_fold(int fold) const {
    MetricsLog log(path / ("fold-" + std::to_string(fold)), fold, 1);
    for (int step = 1; step <= 10; ++step) log.on_step({step, 10, 0.1 * step, step, 1.0 / step, 1e-4, 1, 100, 10});
    log.on_evaluation({5, 1, {{"mcrmse", 0.7}}, false, 1});
    log.on_evaluation({10, 2, {{"mcrmse", 0.6}}, true, 1});
  }
  std::string report() const {
    write_html_report(path / "report.html", read_run(path));
    std::ostringstream text;
    text << std::ifstream(path / "report.html").rdbuf();
    return text.str();
  }

  const fs::path path = fs::temp_directory_path() / ("meshfold-<&>-" + std::to_string(getpid()));
};

void expect_self_contained(const std::string& html) {
  EXPECT_EQ(first_unbalanced_tag(html), "");
  EXPECT_EQ(html.find("http"), std::string::npos) << "the page must not load anything";
  EXPECT_EQ(html.find("<script"), std::string::npos);
}

TEST(HtmlReport, ShowsEveryColumnThatTheTextsOfAJsonLinesTableAreMadeOf) {
  const RunDirectory run;
  for (int fold = 0; fold < 2; ++fold) run.write_fold(fold);
  run.write("run.json", R"({"options": {"data.train": ")" + (run.path / "train.jsonl").string() +
                            R"(", "data.id": "id", "data.text": "text", "data.texts": "left,right",
                               "data.templates": "{prompt}: {}"}})");
  run.write("folds.csv", "id,fold\n1,0\n2,1\n");
  run.write("train.jsonl",
            "{\"id\": 1, \"prompt\": [\"why\", null], \"left\": \"so\", \"right\": \"no\", \"text\": \"unread\"}\n"
            "{\"id\": 2, \"prompt\": null, \"left\": \"yes\", \"right\": \"well\"}\n");
  run.write("oof.csv", "id,fold,y,pred_y\n1,0,1,1\n2,1,2,0.5\n");
  RunNotes notes;
  notes.command = "cv";
  notes.labels = {"y"};
  notes.pooled = {{"mcrmse", 0.6}};
  write_notes(run.path, notes);

  const std::string html = run.report();

  expect_self_contained(html);
  EXPECT_NE(html.find("[&quot;why&quot;, null] ¶ so ¶ no"), std::string::npos) << html.substr(html.find("<ol"), 600);
  EXPECT_EQ(html.find("unread"), std::string::npos);
}

TEST(HtmlReport, ShowsScoresPredictionsAndTextsAndIsWellFormed) {
  const RunDirectory run;
  for (int fold = 0; fold < 2; ++fold) run.write_fold(fold);
  run.write("folds.csv", "id,fold\na,0\nb<,1\n");
  run.write("train.csv", "id,text,y\na,fine,1\nb<,<script>alert(1)</script> " + std::string(600, 'x') + ",2\n");
  run.write("oof.csv", "id,fold,y,pred_y\na,0,1,1\nb<,1,2,0.5\n");
  RunNotes notes;
  notes.command = "cv";
  notes.labels = {"y"};
  notes.pooled = {{"mcrmse", 0.6133}};
  notes.trivial = {{"mcrmse", 0.8000}};
  notes.lengths = {3, 2, {1, 0, 1}, 8, 1};
  write_notes(run.path, notes);

  const std::string html = run.report();

  expect_self_contained(html);
  for (const char* part :
       {"meshfold-&lt;&amp;&gt;-", "0.6133", "0.8000", "-23.3 %", "seed = 42", "<b>b&lt;</b>", "true 2, predicted 0.5",
        "&lt;script&gt;alert(1)", "xxx …", "mean truth of ten", "3 to 5: 1"}) {
    EXPECT_NE(html.find(part), std::string::npos) << part;
  }
  EXPECT_EQ(html.find(std::string(401, 'x')), std::string::npos) << "long texts are cut";
  EXPECT_LT(html.find("<b>b&lt;</b>"), html.find("<b>a</b>")) << "the worst row comes first";
  EXPECT_EQ(count(html, "<svg"), 7U) << "loss, score, rate, norm, prediction, lengths, throughput";
  EXPECT_EQ(count(html, "<svg"), count(html, "aria-label=")) << "every picture has words";
}

TEST(HtmlReport, ShowsWhatThereIsOfARunThatHasNotFinished) {
  const RunDirectory run;
  run.write_fold(0);
  run.write("folds.csv", "id,fold\na,0\nb,1\nc,1\n");

  const std::string html = run.report();

  expect_self_contained(html);
  EXPECT_NE(html.find("0 of 1 finished"), std::string::npos);
  EXPECT_NE(html.find("<td>fold-0 *</td><td>1</td><td>2</td><td>0.6000</td>"), std::string::npos);
  EXPECT_EQ(html.find("Furthest off"), std::string::npos);
}

TEST(HtmlReport, StaysSmallWithAHundredThousandRows) {
  const RunDirectory run;
  run.write_fold(0);
  std::string oof = "id,fold,y,z,pred_y,pred_z\n", table = "id,text\n";
  for (int row = 0; row < 100000; ++row) {
    const auto id = std::to_string(row);
    oof += id + ",0," + std::to_string(row % 1000) + ".5," + id + "," + std::to_string(row % 777) + "," + id + "\n";
    table += id + ",some text\n";
  }
  run.write("oof.csv", oof);
  run.write("train.csv", table);
  RunNotes notes;
  notes.labels = {"y", "z"};
  notes.pooled = {{"mcrmse", 1}};
  write_notes(run.path, notes);

  const std::string html = run.report();

  EXPECT_NE(html.find("class=\"cell\""), std::string::npos);
  EXPECT_LT(html.size(), 200000U);
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
