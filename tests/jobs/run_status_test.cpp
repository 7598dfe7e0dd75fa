#include "jobs/report/run_status.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "jobs/error.hpp"
#include "jobs/report/metrics_log.hpp"
#include "jobs/utc_time.hpp"

namespace meshfold::jobs {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using State = RunStatus::State;
using JobState = JobStatus::State;

/// A run whose files are as old as the test says.
class RunStatusTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(run_);
    std::ofstream(run_ / "run.json") << "{}";
  }
  void TearDown() override { fs::remove_all(run_); }

  /// `process` on a machine of this name has begun at `start_`, with these jobs.
  void begin(const std::string& host, std::vector<std::vector<std::string>> groups) const {
    RunState state;
    state.command = "cv";
    state.host = host;
    state.process = 4242;
    state.ranks = 3;
    state.started = utc_text(start_);
    state.groups = std::move(groups);
    write_state(run_, state);
  }
  /// Steps `from`..`to` of 100, `pace` apart, the last one `after` the start.
  void write_steps(const std::string& job, int from, int to, std::chrono::seconds pace,
                   std::chrono::seconds after) const {
    fs::create_directories(run_ / job);
    std::ofstream lines(run_ / job / "metrics.jsonl", std::ios::app);
    for (int step = from; step <= to; ++step) {
      const nlohmann::json line = {{"kind", "train"},     {"time", utc_text(start_ + after - (to - step) * pace)},
                                   {"step", step},        {"num_steps", 100},
                                   {"loss", 0.5},         {"epoch", 0.25},
                                   {"samples_per_s", 8.0}};
      lines << line.dump() << "\n";
    }
  }
  void age_files(std::chrono::system_clock::time_point time) const {
    for (const auto& entry : fs::recursive_directory_iterator(run_)) {
      fs::last_write_time(entry.path(), fs::file_time_type::clock::from_sys(time));
    }
  }
  RunStatus status(std::chrono::seconds after) const { return status_of(run_, start_ + after); }

  const fs::path run_ = fs::temp_directory_path() / ("meshfold-status-" + std::to_string(getpid()));
  const std::chrono::system_clock::time_point start_ = *time_of_utc("2026-03-01T08:00:00Z");
};

TEST_F(RunStatusTest, TellsRunningFromWaitingJobsAndWhatIsLeft) {
  begin("elsewhere", {{"fold-0", "fold-2"}, {"fold-1"}});
  write_steps("fold-0", 1, 41, 2s, 100s);
  write_steps("fold-1", 1, 51, 1s, 100s);
  age_files(start_ + 100s);

  const auto status = this->status(104s);

  EXPECT_EQ(status.state, State::kRunning);
  ASSERT_EQ(status.jobs.size(), 3U);
  EXPECT_EQ(status.jobs[0].state, JobState::kRunning);
  EXPECT_EQ(status.jobs[1].state, JobState::kRunning);
  EXPECT_EQ(status.jobs[2].state, JobState::kWaiting);
  EXPECT_EQ(status.jobs[0].step, 41);
  // 59 steps of 2 s, of which 4 s have gone; fold-2: 100 steps at the mean pace of 1.5 s.
  EXPECT_NEAR(status.jobs[0].seconds_left.value(), 114, 1e-9);
  EXPECT_NEAR(status.jobs[2].seconds_left.value(), 150, 1e-9);
  EXPECT_NEAR(status.seconds_left.value(), 264, 1e-9);
}

TEST_F(RunStatusTest, PaceIsThatOfThisStartAlone) {
  begin("elsewhere", {{"fold-0"}});
  write_steps("fold-0", 1, 20, 1s, -5000s);
  write_steps("fold-0", 21, 31, 3s, 90s);
  age_files(start_ + 90s);

  EXPECT_NEAR(status(90s).seconds_left.value(), 3 * 69, 1e-9);
}

TEST_F(RunStatusTest, SilenceBeyondTheUsualPauseMeansDeadSinceTheLastSign) {
  begin("elsewhere", {{"fold-0"}});
  write_steps("fold-0", 1, 3, 200s, 600s);
  age_files(start_ + 600s);

  EXPECT_EQ(status(600s + 590s).state, State::kRunning) << "three pauses of 200 s are usual here";
  const auto late = status(600s + 610s);
  EXPECT_EQ(late.state, State::kDead);
  EXPECT_EQ(late.last_sign, "2026-03-01T08:10:00Z");
  EXPECT_NEAR(late.seconds_quiet, 610, 1e-6);
  EXPECT_EQ(late.jobs[0].state, JobState::kInterrupted);
  EXPECT_FALSE(late.seconds_left.has_value());
}

TEST_F(RunStatusTest, AProcessThatIsGoneFromThisMachineIsDeadAtOnce) {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  begin(host, {{"fold-0"}});
  auto state = read_state(run_).value();
  state.process = 999999999;  // beyond any kernel's pid_max
  write_state(run_, state);
  age_files(start_);

  const auto status = this->status(1s);

  EXPECT_EQ(status.state, State::kDead);
  EXPECT_TRUE(status.process_gone);
}

TEST_F(RunStatusTest, AnEndInOrderIsToldByItsExitCode) {
  begin("elsewhere", {{"fold-0"}});
  for (const auto& [code, expected] : {std::pair(0, State::kFinished), {75, State::kStopped}, {5, State::kFailed}}) {
    end_run(run_, code, "disk full");
    EXPECT_EQ(status(99999s).state, expected) << code;
  }
  const auto json = nlohmann::json::parse(status_as_json(status(99999s)));
  EXPECT_EQ(json["state"], "failed");
  EXPECT_EQ(json["exit_code"], 5);
  EXPECT_EQ(json["message"], "disk full");
  EXPECT_EQ(json["seconds_left"], nullptr);
}

TEST_F(RunStatusTest, RefusesWhatIsNoRun) { EXPECT_THROW(status_of(run_ / "nothing", start_), ConfigError); }

TEST(UtcTime, TextAndTimeAreInverse) {
  EXPECT_EQ(utc_text(*time_of_utc("2024-02-29T23:59:59Z")), "2024-02-29T23:59:59Z");
  EXPECT_FALSE(time_of_utc("2024-02-29 23:59"));
  EXPECT_FALSE(time_of_utc("2024-02-29T23:59:59Z later"));
}

TEST(UtcTime, DurationsAreToldInTheTwoUnitsThatCount) {
  EXPECT_EQ(duration_text(3.25), "3.2 s");
  EXPECT_EQ(duration_text(61), "1 min 01 s");
  EXPECT_EQ(duration_text(3 * 3600 + 65), "3 h 01 min");
  EXPECT_EQ(duration_text(200000), "2 d 7 h");
}

}  // namespace
}  // namespace meshfold::jobs
