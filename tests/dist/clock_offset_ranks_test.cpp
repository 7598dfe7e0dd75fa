#include "dist/clock_offset.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <vector>

#include "dist/mpi_process_group.hpp"
#include "tests/rank_environment.hpp"

namespace meshfold::dist {
namespace {

TEST(ClockOffsets, AreFoundWithinTheirUncertainty) {
  const auto group = make_mpi_process_group(tests::rank_environment().world(), "clocks");
  std::vector<int> others;
  for (int rank = 1; rank < group->size(); ++rank) others.push_back(rank);
  // Rank r's clock is r * 2.5 s ahead.
  const auto clock = [ahead = 2.5 * group->rank()] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count() + ahead;
  };

  const auto offsets = clock_offsets(*group, others, clock);

  EXPECT_EQ(offsets.size(), group->rank() == 0 ? others.size() : 0);
  for (const ClockOffset& offset : offsets) {
    EXPECT_LT(offset.uncertainty_s, 0.5);
    EXPECT_LE(std::abs(offset.seconds - 2.5 * offset.rank), offset.uncertainty_s + 1e-6) << "rank " << offset.rank;
  }
}

}  // namespace
}  // namespace meshfold::dist
