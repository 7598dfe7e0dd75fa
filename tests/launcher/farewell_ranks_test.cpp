#include "launcher/farewell.hpp"

#include <gtest/gtest.h>

#include <string>

#include "dist/error.hpp"
#include "jobs/error.hpp"
#include "tests/rank_environment.hpp"

namespace meshfold::launcher {
namespace {

using tests::rank_environment;

/// What this rank printed on stderr while it ended with `error`, and the code it got.
std::pair<std::string, int> conclude(const std::exception& error) {
  Farewell farewell(rank_environment());
  jobs::Console console(rank_environment().rank());
  testing::internal::CaptureStderr();
  const int code = farewell.conclude(error, console);
  return {testing::internal::GetCapturedStderr(), code};
}

TEST(Farewell, TheRankThatFailedSpeaksAndAllEndWithItsCode) {
  const int failing = rank_environment().size() - 1;
  const bool is_own = rank_environment().rank() == failing;
  const auto [printed, code] =
      is_own ? conclude(jobs::StorageError("disk full")) : conclude(dist::PeerFailed(failing, 5, "disk full"));

  EXPECT_EQ(code, 5);
  if (is_own) {
    EXPECT_TRUE(printed.ends_with("disk full\n")) << printed;
    EXPECT_EQ(printed.find('\n'), printed.size() - 1);
    const std::string place = rank_environment().size() > 1 ? "rank " + std::to_string(failing) + " on " : "meshfold: ";
    EXPECT_NE(printed.find(place), std::string::npos) << printed;
  } else {
    EXPECT_EQ(printed, "");
  }
}

TEST(Farewell, AFailureOfAllRanksIsToldOnce) {
  const auto [printed, code] = conclude(jobs::BadNumbersError("loss is nan"));

  EXPECT_EQ(code, 7);
  EXPECT_EQ(!printed.empty(), rank_environment().rank() == 0) << printed;
}

}  // namespace
}  // namespace meshfold::launcher
