#include "dist/stop_signal.hpp"

#include <gtest/gtest.h>

#include <csignal>

namespace meshfold::dist {
namespace {

TEST(StopSignals, EachOfTheThreeAsksForAStopAndANewObjectForgetsIt) {
  for (const int signal : {SIGUSR1, SIGUSR2, SIGTERM}) {
    const StopSignals signals;
    EXPECT_FALSE(stop_signal_received());

    ASSERT_EQ(raise(signal), 0);

    EXPECT_TRUE(stop_signal_received()) << "signal " << signal;
  }
}

TEST(StopSignals, GiveTheFormerDispositionBack) {
  const auto former = std::signal(SIGUSR1, SIG_IGN);
  { const StopSignals signals; }

  EXPECT_EQ(std::signal(SIGUSR1, former), SIG_IGN);
}

TEST(StopSignalsDeathTest, WithoutThemTheProcessEnds) {
  EXPECT_EXIT(
      {
        { const StopSignals signals; }
        raise(SIGTERM);
      },
      testing::KilledBySignal(SIGTERM), "");
}

}  // namespace
}  // namespace meshfold::dist
