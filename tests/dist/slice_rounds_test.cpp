#include "dist/slice_rounds.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "dist/row_shards.hpp"

namespace meshfold::dist {
namespace {

TEST(SliceRounds, AreThoseOfTheExample) {
  const SliceRounds rounds(even_row_shards(7, 2), 1, 3);

  ASSERT_EQ(rounds.num_rounds(), 2u);
  EXPECT_EQ(rounds.range(0, 0).begin, 0u);
  EXPECT_EQ(rounds.range(0, 0).count, 3u);
  EXPECT_EQ(rounds.range(0, 1).begin, 3u);
  EXPECT_EQ(rounds.range(0, 1).count, 1u);
  EXPECT_EQ(rounds.range(1, 0).begin, 4u);
  EXPECT_EQ(rounds.range(1, 0).count, 3u);
  EXPECT_EQ(rounds.range(1, 1).count, 0u);
}

TEST(SliceRounds, CoverEachElementOnceWhateverTheCut) {
  for (const std::vector<std::int64_t>& rows : {std::vector<std::int64_t>{0, 0}, {5, 0, 1}, {0, 9, 2, 2}, {1}}) {
    for (const std::size_t chunk : {0u, 1u, 4u, 1000u}) {
      const SliceRounds rounds(rows, 3, chunk);
      std::size_t total = 0;
      for (const std::int64_t count : rows) total += static_cast<std::size_t>(count) * 3;
      std::vector<int> covered(total, 0);

      for (int rank = 0; rank < static_cast<int>(rows.size()); ++rank) {
        for (std::size_t round = 0; round < rounds.num_rounds(); ++round) {
          const auto [begin, count] = rounds.range(rank, round);
          EXPECT_LE(count, rounds.chunk());
          for (std::size_t i = begin; i < begin + count; ++i) ++covered.at(i);
        }
      }

      EXPECT_EQ(covered, std::vector<int>(total, 1));
    }
  }
}

}  // namespace
}  // namespace meshfold::dist
