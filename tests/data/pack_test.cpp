#include "data/pack.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <stdexcept>

namespace meshfold::data {
namespace {

void expect_contiguous_cover(const std::vector<PackRange>& packs, std::size_t num_samples, std::size_t parts) {
  ASSERT_EQ(packs.size(), parts);
  EXPECT_EQ(packs.front().begin, 0u);
  EXPECT_EQ(packs.back().end, num_samples);
  for (std::size_t k = 0; k < parts; ++k) {
    EXPECT_LE(packs[k].begin, packs[k].end);
    if (k > 0) {
      EXPECT_EQ(packs[k].begin, packs[k - 1].end);
    }
  }
}

std::uint64_t cost_of(std::span<const std::uint64_t> costs, PackRange pack) {
  return std::accumulate(costs.begin() + static_cast<std::ptrdiff_t>(pack.begin),
                         costs.begin() + static_cast<std::ptrdiff_t>(pack.end), std::uint64_t{0});
}

TEST(Pack, CutsRandomStepsIntoContiguousPacksOfNearEqualCost) {
  std::mt19937_64 random(7);
  for (int trial = 0; trial < 2000; ++trial) {
    std::vector<std::uint64_t> costs(random() % 65);
    for (auto& cost : costs) {
      const std::uint64_t length = 2 + random() % 511;
      cost = length * (6 * 384 + length);
    }
    const std::size_t parts = 1 + random() % 16;

    const auto packs = pack(costs, parts);

    expect_contiguous_cover(packs, costs.size(), parts);
    const auto total = std::accumulate(costs.begin(), costs.end(), std::uint64_t{0});
    const auto largest = costs.empty() ? 0 : *std::max_element(costs.begin(), costs.end());
    // Midpoints of a pack lie within total / parts of one another; half a sample sticks out at either end.
    for (const PackRange range : packs) {
      EXPECT_LE(cost_of(costs, range) * parts, total + largest * parts);
      if (range.end > range.begin && parts < costs.size()) {
        EXPECT_GT((cost_of(costs, range) + 2 * largest) * parts, total);
      }
    }
  }
}

TEST(Pack, SplitsEqualCostsEvenly) {
  const auto packs = pack(std::vector<std::uint64_t>(12, 5), 4);

  for (const PackRange range : packs) EXPECT_EQ(range.end - range.begin, 3u);
}

TEST(Pack, GivesAHugeSampleAPackOfItsOwn) {
  const std::vector<std::uint64_t> costs = {1, 1, 1, 1000, 1, 1, 1};

  const auto packs = pack(costs, 3);

  expect_contiguous_cover(packs, costs.size(), 3);
  // The huge sample's midpoint is the middle of the second third; all before it lies in the first, all behind it in the
  // last.
  EXPECT_EQ(packs[1].begin, 3u);
  EXPECT_EQ(packs[1].end, 4u);
}

TEST(Pack, LeavesPacksEmptyWhenThereAreFewerSamplesThanParts) {
  const std::vector<std::uint64_t> costs = {4, 4};

  const auto packs = pack(costs, 5);

  expect_contiguous_cover(packs, 2, 5);
  for (const PackRange range : packs) EXPECT_LE(range.end - range.begin, 1u);
  expect_contiguous_cover(pack({}, 3), 0, 3);
}

TEST(Pack, DoesNotOverflowOnLongCorpora) {
  const std::vector<std::uint64_t> costs(4, std::uint64_t{1} << 61);

  const auto packs = pack(costs, 4);

  for (const PackRange range : packs) EXPECT_EQ(range.end - range.begin, 1u);
}

TEST(Pack, RefusesZeroParts) { EXPECT_THROW(pack(std::vector<std::uint64_t>{1}, 0), std::invalid_argument); }

}  // namespace
}  // namespace meshfold::data
