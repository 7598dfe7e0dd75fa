#include "dist/cpu.hpp"

#include <gtest/gtest.h>
#include <sched.h>

#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace meshfold::dist {
namespace {

std::vector<int> cores(int first, int last) {
  std::vector<int> ids(static_cast<std::size_t>(last - first + 1));
  std::iota(ids.begin(), ids.end(), first);
  return ids;
}

std::vector<int> threads_of_all(const std::vector<RankCores>& ranks) {
  std::vector<int> threads;
  for (int rank = 0; rank < static_cast<int>(ranks.size()); ++rank) threads.push_back(threads_per_rank(ranks, rank));
  return threads;
}

std::string described(const std::vector<RankCores>& ranks) { return describe_placement(ranks, threads_of_all(ranks)); }

TEST(UsableCores, FollowANarrowedAffinityMask) {
  const std::vector<int> before = usable_cores();
  ASSERT_FALSE(before.empty());
  const int last = before.back();

  std::vector<int> inside;
  std::thread([&] {  // a thread of its own: the mask of the other tests stays as it is
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(last, &one);
    if (sched_setaffinity(0, sizeof one, &one) == 0) inside = usable_cores();
  })
      .join();

  EXPECT_EQ(inside, std::vector{last});
  EXPECT_EQ(usable_cores(), before);
  cpu_set_t allowed;
  ASSERT_EQ(sched_getaffinity(0, sizeof allowed, &allowed), 0);
  EXPECT_EQ(before.size(), static_cast<std::size_t>(CPU_COUNT(&allowed)));
}

TEST(ThreadsPerRank, UnboundRanksShareTheCoresOfTheirMachineEvenly) {
  EXPECT_EQ(threads_of_all(std::vector<RankCores>(4, {"a", cores(0, 15)})), std::vector(4, 4));
  EXPECT_EQ(threads_of_all(std::vector<RankCores>(6, {"a", cores(0, 15)})), std::vector(6, 2));
  EXPECT_EQ(threads_of_all({{"a", cores(0, 15)}}), std::vector{16});
}

TEST(ThreadsPerRank, BoundRanksKeepAllTheirOwnCores) {
  EXPECT_EQ(threads_of_all({{"a", cores(0, 3)}, {"a", cores(4, 7)}, {"a", cores(8, 11)}, {"a", cores(12, 15)}}),
            std::vector(4, 4));
  EXPECT_EQ(threads_of_all({{"a", {0}}, {"a", cores(1, 7)}}), (std::vector{1, 7}));
}

TEST(ThreadsPerRank, RanksOfASocketShareThatSocketOnly) {
  EXPECT_EQ(threads_of_all({{"a", cores(0, 7)}, {"a", cores(8, 15)}, {"a", cores(0, 7)}, {"a", cores(8, 15)}}),
            std::vector(4, 4));
}

TEST(ThreadsPerRank, CoresOfAnotherMachineAreNotShared) {
  EXPECT_EQ(threads_of_all({{"a", cores(0, 7)}, {"a", cores(0, 7)}, {"b", cores(0, 7)}}), (std::vector{4, 4, 8}));
}

TEST(ThreadsPerRank, ANeighbourThatOverlapsInPartCountsInFull) {
  EXPECT_EQ(threads_of_all({{"a", cores(0, 7)}, {"a", cores(4, 11)}, {"a", cores(12, 15)}}), (std::vector{4, 4, 4}));
  EXPECT_EQ(threads_of_all({{"a", cores(0, 7)}, {"a", cores(0, 1)}}), (std::vector{4, 1}));
}

TEST(ThreadsPerRank, MasksWithHolesAreSetsNotRanges) {
  EXPECT_EQ(threads_of_all({{"a", {0, 2, 4, 6}}, {"a", {1, 3, 5, 7}}}), (std::vector{4, 4}));
  EXPECT_EQ(threads_of_all({{"a", {0, 2, 70, 1500}}, {"a", {1, 70}}}), (std::vector{2, 1}));
}

TEST(ThreadsPerRank, MoreRanksThanCoresHaveOneThreadEach) {
  EXPECT_EQ(threads_of_all(std::vector<RankCores>(5, {"a", cores(0, 1)})), std::vector(5, 1));
}

TEST(ThreadsPerRank, RefusesARankOfWhichNoCoresAreKnown) {
  EXPECT_THROW(threads_per_rank({}, 0), std::invalid_argument);
  EXPECT_THROW(threads_per_rank(std::vector<RankCores>{{"a", {}}}, 0), std::invalid_argument);
  EXPECT_THROW(threads_per_rank(std::vector<RankCores>{{"a", {0}}}, 1), std::invalid_argument);
}

TEST(DescribePlacement, FoldsRanksThatArePlacedAlike) {
  EXPECT_EQ(described(std::vector<RankCores>(4, {"a", cores(0, 3)})),
            "ranks 0-3 on a: cores 0-3 shared by 4, 1 thread each");
  EXPECT_EQ(described({{"a", cores(0, 3)}, {"a", cores(4, 7)}}),
            "ranks 0-1 on a: 4 cores each (0-3 | 4-7), 4 threads each");
  EXPECT_EQ(described({{"a", {0}}}), "rank 0 on a: core 0, 1 thread");
}

TEST(DescribePlacement, FoldsMachinesThatAreAlikeAndTellsOthersApart) {
  EXPECT_EQ(described({{"b", {0, 1}}, {"b", {0, 1}}, {"a", {0, 1}}, {"a", {0, 1}}}),
            "ranks 0-1 on b, 2-3 on a: cores 0-1 shared by 2, 1 thread each");
  EXPECT_EQ(described({{"b", {0, 2, 3}}, {"a", {0, 1}}}),
            "rank 0 on b: cores 0, 2-3, 3 threads; rank 1 on a: cores 0-1, 2 threads");
}

TEST(DescribePlacement, ShortensLongLists) {
  std::vector<RankCores> ranks;
  for (int rank = 0; rank < 32; ++rank) ranks.push_back({"a", cores(4 * rank, 4 * rank + 3)});
  EXPECT_EQ(described(ranks), "ranks 0-31 on a: 4 cores each (0-3 | 4-7 | ... | 124-127), 4 threads each");
}

TEST(Oversubscribed, NamesTheMachineWithMoreRanksThanCores) {
  EXPECT_EQ(oversubscribed(std::vector<RankCores>{{"a", {0}}, {"b", {0, 1}}, {"b", {0, 1}}, {"b", {0, 1}}}),
            std::vector<std::string>{"more ranks than cores on b: ranks 1-3 take turns on cores 0-1, which is slow; "
                                     "start fewer ranks, or bind them to other cores"});
}

TEST(Oversubscribed, FindsRanksThatAreBoundToOneCoreOfMany) {
  const auto sentences = oversubscribed(std::vector<RankCores>{{"a", {0}}, {"a", {0}}, {"a", cores(0, 7)}});
  ASSERT_EQ(sentences.size(), 1U);
  EXPECT_NE(sentences.front().find("ranks 0-1 take turns on core 0,"), std::string::npos) << sentences.front();
}

TEST(Oversubscribed, IsSilentWhereEveryRankCanHaveACore) {
  EXPECT_TRUE(oversubscribed(std::vector<RankCores>(4, {"a", cores(0, 3)})).empty());
  EXPECT_TRUE(oversubscribed(std::vector<RankCores>{{"a", {0}}, {"a", cores(0, 1)}}).empty());
}

}  // namespace
}  // namespace meshfold::dist
