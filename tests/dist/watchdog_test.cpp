#include "dist/watchdog.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace meshfold::dist {
namespace {

using namespace std::chrono_literals;

/// Long enough for any child process to be ended before it; a child that outlives it fails the test by its exit code.
void be_stuck() { std::this_thread::sleep_for(20s); }

class WatchdogDeathTest : public testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(WatchdogDeathTest, EndsAStuckProcessWithCodeSixAndOneLineThatNamesRankAndPhase) {
  EXPECT_EXIT(
      {
        Watchdog watchdog(3);
        const Watchdog::Phase phase(watchdog, "write the checkpoint", 100ms);
        be_stuck();
      },
      testing::ExitedWithCode(6), "^meshfold: rank 3 made no progress in 'write the checkpoint' for 0.1 s[^\n]*\n$");
}

TEST_F(WatchdogDeathTest, CountsTheInnermostPhase) {
  EXPECT_EXIT(
      {
        Watchdog watchdog(0);
        const Watchdog::Phase outer(watchdog, "outer", 0ms);
        const Watchdog::Phase inner(watchdog, "inner", 50ms);
        be_stuck();
      },
      testing::ExitedWithCode(6), "'inner'");
}

TEST_F(WatchdogDeathTest, WatchesTheOuterPhaseAgainOnceTheInnerOneEnded) {
  EXPECT_EXIT(
      {
        Watchdog watchdog(0);
        const Watchdog::Phase outer(watchdog, "outer", 50ms);
        { const Watchdog::Phase inner(watchdog, "inner", 0ms); }
        be_stuck();
      },
      testing::ExitedWithCode(6), "'outer'");
}

// The next three would end this process if the watchdog bit too early.
TEST(Watchdog, LetsAPhaseRunOnWhileItMakesProgress) {
  Watchdog watchdog(0);
  const Watchdog::Phase phase(watchdog, "train", 1s);

  const auto start = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - start < 1500ms) {
    std::this_thread::sleep_for(50ms);
    watchdog.progress();
  }

  SUCCEED();
}

TEST(Watchdog, StartsTheOuterClockAnewAfterAnInnerPhase) {
  Watchdog watchdog(0);
  const Watchdog::Phase outer(watchdog, "outer", 1s);
  {
    const Watchdog::Phase inner(watchdog, "inner", 0ms);
    std::this_thread::sleep_for(1200ms);
  }
  std::this_thread::sleep_for(50ms);

  SUCCEED();
}

TEST(Watchdog, WatchesNothingOutsideAPhase) {
  Watchdog watchdog(0);
  { const Watchdog::Phase phase(watchdog, "short", 100ms); }
  std::this_thread::sleep_for(300ms);

  SUCCEED();
}

}  // namespace
}  // namespace meshfold::dist
