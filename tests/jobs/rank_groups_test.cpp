#include "jobs/run/rank_groups.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <stdexcept>

namespace meshfold::jobs {
namespace {

struct Case {
  int folds, ranks, groups;
};

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (int folds = 1; folds <= 9; ++folds) {
    for (int ranks = 1; ranks <= 17; ++ranks) {
      for (int groups = 1; groups <= std::min(folds, ranks); ++groups) cases.push_back({folds, ranks, groups});
    }
  }
  return cases;
}

/// Different for every fold, in no order.
std::vector<std::uint64_t> uneven_costs(int folds) {
  std::vector<std::uint64_t> costs;
  for (int k = 0; k < folds; ++k) costs.push_back(1000 + static_cast<std::uint64_t>(k * 7919 % 613));
  return costs;
}

TEST(Placement, GivesEveryRankToOneGroupOfSizesThatDifferByAtMostOne) {
  for (const auto& [folds, ranks, groups] : all_cases()) {
    const auto placed = place_jobs(uneven_costs(folds), ranks, groups);

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
    EXPECT_EQ(seen, all) << folds << " folds, " << ranks << " ranks, " << groups << " groups";
    EXPECT_LE(largest - smallest, 1U);
  }
}

TEST(Placement, RunsEveryFoldOnceAndLeavesNoGroupWithoutOne) {
  for (const auto& [folds, ranks, groups] : all_cases()) {
    for (const auto& costs : {uneven_costs(folds), std::vector<std::uint64_t>(static_cast<std::size_t>(folds), 5)}) {
      std::multiset<int> run;
      for (const auto& group : place_jobs(costs, ranks, groups)) {
        EXPECT_FALSE(group.folds.empty()) << folds << " folds, " << ranks << " ranks, " << groups << " groups";
        run.insert(group.folds.begin(), group.folds.end());
      }

      ASSERT_EQ(run.size(), static_cast<std::size_t>(folds));
      for (int fold = 0; fold < folds; ++fold) EXPECT_EQ(run.count(fold), 1U);
    }
  }
}

TEST(Placement, RunsTheLongestFoldOfAGroupFirst) {
  for (const auto& [folds, ranks, groups] : all_cases()) {
    const auto costs = uneven_costs(folds);
    for (const auto& group : place_jobs(costs, ranks, groups)) {
      EXPECT_TRUE(std::ranges::is_sorted(group.folds, std::greater<>(),
                                         [&](int fold) { return costs[static_cast<std::size_t>(fold)]; }));
    }
  }
}

TEST(Placement, LeavesNoFoldThatWouldEndEarlierElsewhere) {
  for (const auto& [folds, ranks, groups] : all_cases()) {
    const auto costs = uneven_costs(folds);
    const auto placed = place_jobs(costs, ranks, groups);
    const auto finish = [&](const RankGroup& group, std::uint64_t more) {
      std::uint64_t load = more;
      for (const int fold : group.folds) load += costs[static_cast<std::size_t>(fold)];
      return static_cast<double>(load) / static_cast<double>(group.ranks.size());
    };
    for (const auto& group : placed) {
      const auto last = costs[static_cast<std::size_t>(group.folds.back())];
      for (const auto& other : placed) {
        if (&other == &group) continue;
        EXPECT_LE(finish(group, 0), finish(other, last) + 1e-9);
      }
    }
  }
}

TEST(Placement, PutsThreeEqualFoldsOnFourRanksAsDocumented) {
  const std::vector<std::uint64_t> costs{1, 1, 1};

  const auto placed = place_jobs(costs, 4, 3);

  EXPECT_EQ(placed[0].ranks, (std::vector{0, 1}));
  EXPECT_EQ(placed[0].folds, std::vector{0});
  EXPECT_EQ(placed[1].folds, std::vector{1});
  EXPECT_EQ(placed[2].folds, std::vector{2});
  EXPECT_EQ(group_of_rank(placed, 1), 0U);
  EXPECT_EQ(group_of_rank(placed, 3), 2U);
}

TEST(Placement, GivesTheLargerGroupMoreOfTheWork) {
  const std::vector<std::uint64_t> costs{4, 4, 4, 4, 4, 4};

  const auto placed = place_jobs(costs, 3, 2);

  EXPECT_EQ(placed[0].folds.size(), 4U);
  EXPECT_EQ(placed[1].folds.size(), 2U);
}

TEST(Placement, RefusesMoreGroupsThanFoldsOrRanks) {
  const std::vector<std::uint64_t> costs{1, 1};

  EXPECT_THROW(place_jobs(costs, 4, 3), std::invalid_argument);
  EXPECT_THROW(place_jobs(costs, 1, 2), std::invalid_argument);
  EXPECT_THROW(place_jobs(costs, 1, 0), std::invalid_argument);
}

TEST(PlaceFolds, KeepsTheRanksOfOneModelTogetherWhenUnitsAreSpread) {
  const std::vector<std::uint64_t> costs = {1, 1, 1};
  std::vector<RankGroup> groups = place_jobs(costs, 4, 3);

  spread_over_ranks(groups, 2);

  EXPECT_EQ(groups[0].ranks, (std::vector<int>{0, 1, 2, 3}));
  EXPECT_EQ(groups[1].ranks, (std::vector<int>{4, 5}));
  EXPECT_EQ(groups[2].ranks, (std::vector<int>{6, 7}));
}

}  // namespace
}  // namespace meshfold::jobs
