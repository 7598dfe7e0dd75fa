#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "dist/communicator.hpp"
#include "dist/mpi_process_group.hpp"
#include "jobs/run/run_outcome.hpp"
#include "tests/rank_environment.hpp"

namespace meshfold::jobs {
namespace {

using namespace std::chrono_literals;
using tests::rank_environment;

constexpr std::size_t kNumFolds = 5;

std::vector<RankGroup> groups_of_world(int size) {
  return place_jobs(std::vector<std::uint64_t>(kNumFolds, 1), size, std::min(size, 2));
}

TEST(RunOutcome, IsThatOfTheGroupThatRanTheFoldOnEveryRank) {
  const auto world = dist::make_mpi_process_group(rank_environment().world(), "world");
  const auto groups = groups_of_world(world->size());
  std::vector<JobOutcome> own(kNumFolds);
  for (const std::size_t fold : groups[group_of_rank(groups, world->rank())].jobs) {
    own[fold] = {JobState::kBadNumbers, "loss of \"fold " + std::to_string(fold) + "\""};
  }

  const auto outcomes = gather_outcomes(*world, groups, own);

  ASSERT_EQ(outcomes.size(), kNumFolds);
  for (std::size_t fold = 0; fold < kNumFolds; ++fold) {
    EXPECT_EQ(outcomes[fold].state, JobState::kBadNumbers);
    EXPECT_EQ(outcomes[fold].message, "loss of \"fold " + std::to_string(fold) + "\"");
  }
}

TEST(RunOutcome, OfBadNumbersOutweighsARequestToStop) {
  Console console(1);  // a rank that is silent on the terminal
  std::vector<JobPlan> jobs(3);
  for (int fold = 0; fold < 3; ++fold) jobs[static_cast<std::size_t>(fold)].id = JobId::of_fold(fold);

  EXPECT_EQ(conclude(jobs, std::vector<JobOutcome>(3), console), std::nullopt);
  const std::vector<JobOutcome> stopped{{}, {JobState::kStopped, "at step 3"}, {}};
  EXPECT_EQ(conclude(jobs, stopped, console), ExitCode::kStoppedOnRequest);
  const std::vector<JobOutcome> bad{{JobState::kBadNumbers, "fold-0, loss"},
                                    {JobState::kStopped, "at step 3"},
                                    {JobState::kBadNumbers, "fold-2, norm"}};
  try {
    conclude(jobs, bad, console);
    ADD_FAILURE() << "bad numbers were passed over";
  } catch (const BadNumbersError& error) {
    EXPECT_STREQ(error.what(), "fold-0, loss; fold-2, norm");
  }
}

TEST(StopRequest, OfTheLastRankAloneReachesAll) {
  const auto world = dist::make_mpi_process_group(rank_environment().world(), "world");

  EXPECT_FALSE(agreed_stop(*world, false));
  EXPECT_TRUE(agreed_stop(*world, world->rank() == world->size() - 1));
}

TEST(IdleWait, OutlastsTheDeadlineWhileAnotherRankWorks) {
  const auto& world = *rank_environment().world();
  dist::Watchdog watchdog(world.rank());
  const bool works = world.rank() == world.size() - 1;
  const auto start = std::chrono::steady_clock::now();
  int calls = 0;

  if (works) std::this_thread::sleep_for(400ms);
  {
    // The idle phase lies inside one with a short deadline, and must be the one that counts.
    const dist::Watchdog::Phase outer(watchdog, "outer", works ? 0ms : 200ms);
    wait_for_all(world, watchdog, [&] { ++calls; });
  }

  EXPECT_GE(std::chrono::steady_clock::now() - start, 300ms);
  if (works) return;
  EXPECT_GE(calls, 2);
  EXPECT_LE(calls, 200) << "it spins";
}

}  // namespace
}  // namespace meshfold::jobs
