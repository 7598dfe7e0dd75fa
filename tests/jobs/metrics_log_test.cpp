#include "jobs/report/metrics_log.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

namespace meshfold::jobs {
namespace {

namespace fs = std::filesystem;

class MetricsLogTest : public testing::Test {
 protected:
  void SetUp() override {
    job_ = fs::temp_directory_path() / ("meshfold-metrics-" + std::to_string(getpid())) / "fold-2";
  }
  void TearDown() override { fs::remove_all(job_.parent_path()); }

  std::vector<std::string> lines() const {
    std::ifstream in(job_ / "metrics.jsonl");
    std::vector<std::string> result;
    for (std::string line; std::getline(in, line);) result.push_back(line);
    return result;
  }
  static StepReport step(std::int64_t number) {
    StepReport report;
    report.step = number;
    report.num_steps = 7;
    report.loss = 1.0 / static_cast<double>(number);
    report.samples_per_s = 50;
    return report;
  }

  fs::path job_;
};

TEST_F(MetricsLogTest, WritesEverySoManyStepsAndTheLast) {
  MetricsLog log(job_, 2, 3);
  for (std::int64_t number = 1; number <= 7; ++number) log.on_step(step(number));

  const auto history = read_history(job_);

  ASSERT_EQ(history.steps.size(), 3U);
  EXPECT_EQ(history.steps[0].step, 3);
  EXPECT_EQ(history.steps[1].step, 6);
  EXPECT_EQ(history.steps[2].step, 7);
  EXPECT_DOUBLE_EQ(history.steps[1].loss, 1.0 / 6);
  EXPECT_EQ(nlohmann::json::parse(lines()[0])["fold"], 2);
}

TEST_F(MetricsLogTest, DropsWhatALostAttemptWroteAfterTheCheckpoint) {
  MetricsLog log(job_, 0, 1);
  for (std::int64_t number = 1; number <= 5; ++number) log.on_step(step(number));
  log.on_note("late");

  log.discard_after(3);
  log.on_note("resumed");
  log.on_step(step(4));

  const auto history = read_history(job_);
  ASSERT_EQ(history.steps.size(), 4U);
  EXPECT_EQ(history.steps.back().step, 4);
  EXPECT_EQ(lines().size(), 5U);
  EXPECT_EQ(nlohmann::json::parse(lines()[3])["text"], "resumed");
  EXPECT_EQ(nlohmann::json::parse(lines()[3])["step"], 3);
}

TEST_F(MetricsLogTest, TellsWhatTheStepsTookOnEveryRank) {
  MetricsLog log(job_, 0, 1);
  log.on_step(step(7));
  RankUsage second;
  second.place.data = 1;
  second.steps = 7;
  second.data_bytes = 7000;
  second.step_peak_bytes = 123;

  log.on_usage({RankUsage{{}, 7, 7000, 0, 0, 100, 1000}, second});

  const auto line = nlohmann::json::parse(lines().back());
  EXPECT_EQ(line["kind"], "usage");
  EXPECT_EQ(line["step"], 7);
  EXPECT_EQ(line["steps"], 7);
  ASSERT_EQ(line["ranks"].size(), 2U);
  EXPECT_EQ(line["ranks"][0]["resident_peak"], 1000);
  EXPECT_EQ(line["ranks"][1]["data"], 1);
  EXPECT_EQ(line["ranks"][1]["sent_data"], 7000);
  EXPECT_EQ(line["ranks"][1]["step_peak"], 123);
  EXPECT_EQ(read_history(job_).steps.size(), 1U);
}

TEST_F(MetricsLogTest, ATornLastLineIsIgnoredAndThenRemoved) {
  { MetricsLog(job_, 0, 1).on_step(step(1)); }
  std::ofstream(job_ / "metrics.jsonl", std::ios::app) << R"({"kind":"train","step":2,"lo)";

  const auto progress = read_progress(job_);
  MetricsLog again(job_, 0, 1);
  again.on_step(step(2));

  ASSERT_TRUE(progress);
  EXPECT_EQ(progress->step, 1);
  EXPECT_EQ(progress->num_steps, 7);
  ASSERT_EQ(lines().size(), 2U);
  EXPECT_EQ(nlohmann::json::parse(lines()[1])["step"], 2);
}

TEST_F(MetricsLogTest, ScoresKeepTheirOrderAndNonFiniteNumbersAreNull) {
  MetricsLog log(job_, 0, 1);
  EvaluationReport report;
  report.step = 4;
  report.best = true;
  report.scores = {{"mcrmse", 0.5}, {"rmse/a", std::numeric_limits<double>::infinity()}};
  log.on_evaluation(report);

  const auto progress = read_progress(job_);

  ASSERT_TRUE(progress);
  EXPECT_EQ(progress->step, 4);
  ASSERT_EQ(progress->scores.size(), 2U);
  EXPECT_EQ(progress->scores[0], (std::pair<std::string, double>("mcrmse", 0.5)));
  EXPECT_TRUE(std::isnan(progress->scores[1].second));
  EXPECT_TRUE(nlohmann::json::parse(lines()[0])["rmse/a"].is_null());
  EXPECT_TRUE(read_history(job_).evaluations.front().best);
}

TEST_F(MetricsLogTest, AJobThatHasNotStartedHasNoProgress) { EXPECT_FALSE(read_progress(job_)); }

}  // namespace
}  // namespace meshfold::jobs
