#include "dist/row_shards.hpp"

#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "dist/single_process_group.hpp"

namespace meshfold::dist {
namespace {

using Rows = std::vector<std::int64_t>;

TEST(RowShards, GiveTheFirstRanksOneMoreAndTheLastOnesNoneWhenThereAreFew) {
  EXPECT_EQ(even_row_shards(7, 3), (Rows{3, 2, 2}));
  EXPECT_EQ(even_row_shards(6, 3), (Rows{2, 2, 2}));
  EXPECT_EQ(even_row_shards(1, 3), (Rows{1, 0, 0}));
  EXPECT_EQ(even_row_shards(0, 2), (Rows{0, 0}));
  EXPECT_EQ(first_row(even_row_shards(7, 3), 2), 5);
  EXPECT_THROW(even_row_shards(3, 0), std::invalid_argument);
}

TEST(RowShards, OfAGroupOfOneMustCoverTheTensor) {
  SingleProcessGroup alone;
  const at::Tensor whole = at::empty({4, 2});

  alone.reduce_scatter(whole, Rows{4})->wait();
  EXPECT_THROW(alone.reduce_scatter(whole, Rows{3}), std::invalid_argument);
  EXPECT_THROW(alone.all_gather_rows(whole, Rows{2, 2}), std::invalid_argument);
  EXPECT_THROW(alone.all_gather_rows(whole, Rows{}), std::invalid_argument);
}

}  // namespace
}  // namespace meshfold::dist
