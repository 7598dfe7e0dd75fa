#include "jobs/run/rank_groups.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <stdexcept>

namespace meshfold::jobs {
namespace {

struct Case {
  int jobs, ranks, groups;
};

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (int jobs = 1; jobs <= 9; ++jobs) {
    for (int ranks = 1; ranks <= 17; ++ranks) {
      for (int groups = 1; groups <= std::min(jobs, ranks); ++groups) cases.push_back({jobs, ranks, groups});
    }
  }
  return cases;
}

/// Different for every job, in no order.
std::vector<std::uint64_t> uneven_costs(int jobs) {
  std::vector<std::uint64_t> costs;
  for (int k = 0; k < jobs; ++k) costs.push_back(1000 + static_cast<std::uint64_t>(k * 7919 % 613));
  return costs;
}

TEST(RankGroups, GivesEveryRankToOneGroupOfSizesThatDifferByAtMostOne) {
  for (const auto& [jobs, ranks, groups] : all_cases()) {
    const auto placed = place_jobs(uneven_costs(jobs), ranks, groups);

    ASSERT_EQ(placed.size(), static_cast<std::size_t>(groups));
    std::vector<int> seen;
    std::size_t smallest = 100, largest = 0;
    for (const auto& group : placed) {
      seen.insert(seen.end(), group.ranks.begin(), group.ranks.end());
      smallest = std::min(smallest, group.ranks.size());
      largest = std::max(largest, group.ranks.size());
    }
    std::vector<int> all(static_cast<std::size_t>(ranks));
    std::iota(all.begin(), all.end(), 0);
    EXPECT_EQ(seen, all) << jobs << " jobs, " << ranks << " ranks, " << groups << " groups";
    EXPECT_LE(largest - smallest, 1U);
  }
}

TEST(RankGroups, RunsEveryJobOnceAndLeavesNoGroupWithoutOne) {
  for (const auto& [jobs, ranks, groups] : all_cases()) {
    for (const auto& costs : {uneven_costs(jobs), std::vector<std::uint64_t>(static_cast<std::size_t>(jobs), 5)}) {
      std::multiset<std::size_t> run;
      for (const auto& group : place_jobs(costs, ranks, groups)) {
        EXPECT_FALSE(group.jobs.empty()) << jobs << " jobs, " << ranks << " ranks, " << groups << " groups";
        run.insert(group.jobs.begin(), group.jobs.end());
      }

      ASSERT_EQ(run.size(), static_cast<std::size_t>(jobs));
      for (std::size_t job = 0; job < run.size(); ++job) EXPECT_EQ(run.count(job), 1U);
    }
  }
}

TEST(RankGroups, RunsTheLongestJobOfAGroupFirst) {
  for (const auto& [jobs, ranks, groups] : all_cases()) {
    const auto costs = uneven_costs(jobs);
    for (const auto& group : place_jobs(costs, ranks, groups)) {
      EXPECT_TRUE(std::ranges::is_sorted(group.jobs, std::greater<>(), [&](std::size_t job) { return costs[job]; }));
    }
  }
}

TEST(RankGroups, LeavesNoJobThatWouldEndEarlierElsewhere) {
  for (const auto& [jobs, ranks, groups] : all_cases()) {
    const auto costs = uneven_costs(jobs);
    const auto placed = place_jobs(costs, ranks, groups);
    const auto finish = [&](const RankGroup& group, std::uint64_t more) {
      std::uint64_t load = more;
      for (const std::size_t job : group.jobs) load += costs[job];
      return static_cast<double>(load) / static_cast<double>(group.ranks.size());
    };
    for (const auto& group : placed) {
      const auto last = costs[group.jobs.back()];
      for (const auto& other : placed) {
        if (&other == &group) continue;
        EXPECT_LE(finish(group, 0), finish(other, last) + 1e-9);
      }
    }
  }
}

TEST(RankGroups, PutsThreeEqualJobsOnFourRanksAsDocumented) {
  const std::vector<std::uint64_t> costs{1, 1, 1};

  const auto placed = place_jobs(costs, 4, 3);

  EXPECT_EQ(placed[0].ranks, (std::vector{0, 1}));
  EXPECT_EQ(placed[0].jobs, std::vector<std::size_t>{0});
  EXPECT_EQ(placed[1].jobs, std::vector<std::size_t>{1});
  EXPECT_EQ(placed[2].jobs, std::vector<std::size_t>{2});
  EXPECT_EQ(group_of_rank(placed, 1), 0U);
  EXPECT_EQ(group_of_rank(placed, 3), 2U);
}

TEST(RankGroups, GivesTheLargerGroupMoreOfTheWork) {
  const std::vector<std::uint64_t> costs{4, 4, 4, 4, 4, 4};

  const auto placed = place_jobs(costs, 3, 2);

  EXPECT_EQ(placed[0].jobs.size(), 4U);
  EXPECT_EQ(placed[1].jobs.size(), 2U);
}

TEST(RankGroups, RefusesMoreGroupsThanJobsOrRanks) {
  const std::vector<std::uint64_t> costs{1, 1};

  EXPECT_THROW(place_jobs(costs, 4, 3), std::invalid_argument);
  EXPECT_THROW(place_jobs(costs, 1, 2), std::invalid_argument);
  EXPECT_THROW(place_jobs(costs, 1, 0), std::invalid_argument);
}

TEST(RankGroups, KeepsTheRanksOfOneModelTogetherWhenUnitsAreSpread) {
  const std::vector<std::uint64_t> costs = {1, 1, 1};
  std::vector<RankGroup> groups = place_jobs(costs, 4, 3);

  spread_over_ranks(groups, 2);

  EXPECT_EQ(groups[0].ranks, (std::vector<int>{0, 1, 2, 3}));
  EXPECT_EQ(groups[1].ranks, (std::vector<int>{4, 5}));
  EXPECT_EQ(groups[2].ranks, (std::vector<int>{6, 7}));
}

}  // namespace
}  // namespace meshfold::jobs
