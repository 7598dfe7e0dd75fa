#include "dist/reduction_tree.hpp"

#include <gtest/gtest.h>

#include <string>

namespace meshfold::dist {
namespace {

/// Sums are written out with brackets, so the order of addition can be read.
std::string tree_of(int n, int first = 0) {
  std::vector<std::string> items;
  for (int i = 0; i < n; ++i) items.push_back(std::to_string(first + i));
  reduce_in_tree_order(items, [](std::string& a, const std::string& b) { a = "(" + a + "+" + b + ")"; });
  return items.empty() ? "" : items[0];
}

TEST(ReductionTree, SplitsAtTheLargestPowerOfTwoBelow) {
  EXPECT_EQ(tree_of(0), "");
  EXPECT_EQ(tree_of(1), "0");
  EXPECT_EQ(tree_of(2), "(0+1)");
  EXPECT_EQ(tree_of(3), "((0+1)+2)");
  EXPECT_EQ(tree_of(5), "(((0+1)+(2+3))+4)");
  EXPECT_EQ(tree_of(6), "(((0+1)+(2+3))+(4+5))");
  EXPECT_EQ(tree_of(8), "(((0+1)+(2+3))+((4+5)+(6+7)))");
}

TEST(ReductionTree, PacksFirstAndRanksAfterwardsIsTheTreeOverAllPacks) {
  constexpr int kParts = 16;

  for (int ranks = 1; ranks <= kParts; ranks *= 2) {
    const int packs_per_rank = kParts / ranks;
    std::vector<std::string> rank_sums;
    for (int r = 0; r < ranks; ++r) rank_sums.push_back(tree_of(packs_per_rank, r * packs_per_rank));
    reduce_in_tree_order(rank_sums, [](std::string& a, const std::string& b) { a = "(" + a + "+" + b + ")"; });

    EXPECT_EQ(rank_sums[0], tree_of(kParts)) << ranks << " ranks";
  }
}

}  // namespace
}  // namespace meshfold::dist
