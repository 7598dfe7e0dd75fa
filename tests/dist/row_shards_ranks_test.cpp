#include "dist/row_shards.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <vector>

#include "dist/communicator.hpp"
#include "dist/mpi_process_group.hpp"
#include "tests/dist/tensors_of_ranks.hpp"
#include "tests/rank_environment.hpp"

namespace meshfold::dist {
namespace {

using tests::rank_environment, tests::ways_to_cut;
using Rows = std::vector<std::int64_t>;

std::unique_ptr<ProcessGroup> world() { return make_mpi_process_group(rank_environment().world(), "world"); }

/// Values of rank r, none of them a round number, so that another order of addition shows.
at::Tensor values_of(int rank, at::IntArrayRef shape) {
  const std::int64_t count = c10::multiply_integers(shape);
  return (at::arange(count, at::kFloat) * 0.37F + 1.0F / (3.0F + static_cast<float>(rank))).reshape(shape);
}

TEST(ReduceScatter, LeavesInTheOwnRowsTheBitsOfAnAllReduce) {
  const auto group = world();
  for (const std::int64_t count : {0, 1, 7, 30'011}) {
    for (const Rows& rows : ways_to_cut(count, group->size())) {
      const at::Tensor whole = values_of(group->rank(), {count, 9}), expected = whole.clone();
      group->all_reduce(expected, ReduceOp::kSum)->wait();

      group->reduce_scatter(whole, rows)->wait();

      const std::int64_t first = first_row(rows, group->rank()), own = rows[static_cast<std::size_t>(group->rank())];
      EXPECT_TRUE(at::equal(whole.narrow(0, first, own), expected.narrow(0, first, own))) << count << " rows";
    }
  }
}

TEST(AllGatherRows, BringsEveryRanksRowsToAll) {
  const auto group = world();
  for (const std::int64_t count : {0, 1, 7, 30'011}) {
    for (const Rows& rows : ways_to_cut(count, group->size())) {
      const at::Tensor expected = values_of(5, {count, 9});
      const at::Tensor whole = at::full({count, 9}, -1.0F);
      const std::int64_t first = first_row(rows, group->rank()), own = rows[static_cast<std::size_t>(group->rank())];
      whole.narrow(0, first, own).copy_(expected.narrow(0, first, own));

      group->all_gather_rows(whole, rows)->wait();

      EXPECT_TRUE(at::equal(whole, expected)) << count << " rows";
    }
  }
}

TEST(RowShardsOnRanks, OverlapWithOtherOperations) {
  const auto group = world();
  const at::Tensor a = at::ones({1000, 3}), b = at::full({50'000}, 2.0F), c = at::ones({3});
  const Rows rows_a = even_row_shards(1000, group->size()), rows_b = even_row_shards(50'000, group->size());

  auto scatter = group->reduce_scatter(a, rows_a);
  auto gather = group->all_gather_rows(b, rows_b);
  auto sum = group->all_reduce(c, ReduceOp::kSum);
  sum->wait();
  gather->wait();
  scatter->wait();

  const auto ranks = static_cast<float>(group->size());
  const std::int64_t own = rows_a[static_cast<std::size_t>(group->rank())];
  EXPECT_TRUE(at::equal(a.narrow(0, first_row(rows_a, group->rank()), own), at::full({own, 3}, ranks)));
  EXPECT_TRUE(at::equal(b, at::full({50'000}, 2.0F)));
  EXPECT_TRUE(at::equal(c, at::full({3}, ranks)));
}

TEST(RowShardsOnRanks, CountTheBytesOfARing) {
  const auto group = world();
  const int ranks = group->size();
  const at::Tensor whole = at::ones({12 * 5000});
  const Rows rows = even_row_shards(12 * 5000, ranks);
  const std::uint64_t share = whole.nbytes() / static_cast<std::size_t>(ranks) * static_cast<std::size_t>(ranks - 1);

  const std::uint64_t before = group->bytes_sent();
  group->reduce_scatter(whole, rows)->wait();
  const std::uint64_t scattered = group->bytes_sent();
  group->all_gather_rows(whole, rows)->wait();
  const std::uint64_t gathered = group->bytes_sent();
  group->all_reduce(whole, ReduceOp::kSum)->wait();

  EXPECT_EQ(scattered - before, share);
  EXPECT_EQ(gathered - scattered, share);
  EXPECT_EQ(group->bytes_sent() - gathered, 2 * share);
}

TEST(RowShardsOnRanks, MustAddUpToTheTensor) {
  const auto group = world();
  Rows rows = even_row_shards(10, group->size());
  rows.back() += 1;

  EXPECT_THROW(group->reduce_scatter(at::ones({10}), rows), std::invalid_argument);
  EXPECT_THROW(group->all_gather_rows(at::ones({10}), rows), std::invalid_argument);
}

}  // namespace
}  // namespace meshfold::dist
