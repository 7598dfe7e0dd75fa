#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <stdexcept>
#include <vector>

#include "dist/gpu/nccl_process_group.hpp"
#include "dist/mpi_process_group.hpp"
#include "dist/row_shards.hpp"
#include "tests/dist/fake_gpu.hpp"
#include "tests/dist/tensors_of_ranks.hpp"
#include "tests/rank_environment.hpp"

namespace meshfold::dist {
namespace {

using tests::FakeGpu, tests::rank_environment, tests::same_bits, tests::values_of, tests::ways_to_cut;

constexpr std::int64_t kSizes[] = {0, 1, 5, 1000, 300001};
// A chunk of a few thousand elements, so that the last size takes many rounds and ends in a part of one.
constexpr std::size_t kSmallScratch = 50'000;

std::shared_ptr<Communicator> ranks() { return rank_environment().world(); }

/// An NCCL group on the fake device beside the MPI group that it must agree with.
class NcclGroup : public testing::TestWithParam<at::ScalarType> {
 protected:
  NcclGroupOptions options_{RingLinks::kNeighbours, kSmallScratch};
  FakeGpu gpu_{*ranks()};
  std::unique_ptr<ProcessGroup> nccl_ = make_nccl_process_group(gpu_.libraries(), at::kCPU, ranks(), "world", options_);
  std::unique_ptr<ProcessGroup> mpi_ = make_mpi_process_group(ranks(), "world");
  int rank_ = mpi_->rank(), size_ = mpi_->size();
};

TEST_P(NcclGroup, ReducesToTheBitsOfMpi) {
  for (const std::int64_t size : kSizes) {
    for (const ReduceOp op : {ReduceOp::kSum, ReduceOp::kMax, ReduceOp::kMin}) {
      const at::Tensor tensor = values_of(rank_, size, GetParam()), expected = tensor.clone();
      mpi_->all_reduce(expected, op)->wait();

      nccl_->all_reduce(tensor, op)->wait();

      EXPECT_TRUE(same_bits(tensor, expected)) << size << " elements, reduction " << static_cast<int>(op);
    }
  }
}

TEST_P(NcclGroup, ScattersSumsWithTheBitsOfMpi) {
  for (const std::int64_t count : {0, 1, 7, 3'011}) {
    for (const auto& rows : ways_to_cut(count, size_)) {
      const at::Tensor whole = values_of(rank_, count * 9, GetParam()).view({count, 9}), expected = whole.clone();
      mpi_->reduce_scatter(expected, rows)->wait();

      nccl_->reduce_scatter(whole, rows)->wait();

      const std::int64_t first = first_row(rows, rank_), own = rows[static_cast<std::size_t>(rank_)];
      EXPECT_TRUE(same_bits(whole.narrow(0, first, own), expected.narrow(0, first, own))) << count << " rows";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, NcclGroup, testing::Values(at::kFloat, at::kDouble, at::kInt, at::kLong),
                         [](const auto& type) { return c10::toString(type.param); });

class NcclExchange : public NcclGroup {};

INSTANTIATE_TEST_SUITE_P(Of, NcclExchange, testing::Values(at::kInt, at::kBFloat16),
                         [](const auto& type) { return c10::toString(type.param); });

TEST_P(NcclExchange, GathersRowsAndTensorsAndBroadcastsAsMpiDoes) {
  for (const std::int64_t count : {0, 1, 7, 3'011}) {
    for (const auto& rows : ways_to_cut(count, size_)) {
      const at::Tensor whole = values_of(rank_, count * 9, GetParam()).view({count, 9}), expected = whole.clone();
      mpi_->all_gather_rows(expected, rows)->wait();

      nccl_->all_gather_rows(whole, rows)->wait();

      EXPECT_TRUE(same_bits(whole, expected)) << count << " rows";
    }
    const at::Tensor own = values_of(rank_, count, GetParam());
    const std::vector<at::Tensor> gathered = nccl_->all_gather(own);
    for (int root = 0; root < size_; ++root) {
      const at::Tensor of_root = values_of(root, count, GetParam()), tensor = own.clone();
      nccl_->broadcast(tensor, root)->wait();
      EXPECT_TRUE(same_bits(tensor, of_root)) << "broadcast from rank " << root;
      EXPECT_TRUE(same_bits(gathered.at(static_cast<std::size_t>(root)), of_root)) << "gathered from rank " << root;
    }
  }
}

TEST_P(NcclExchange, OfNeighboursThatBothSendFirstDoesNotLock) {
  if (size_ < 2) GTEST_SKIP() << "needs two ranks";
  const int next = (rank_ + 1) % size_, previous = (rank_ + size_ - 1) % size_;
  const at::Tensor large = values_of(rank_, 300001, GetParam()), small = values_of(rank_ + 50, 10, GetParam());
  const at::Tensor to_previous = values_of(rank_ + 100, 1000, GetParam());
  const at::Tensor got_large = at::zeros_like(large), got_small = at::zeros_like(small);
  const at::Tensor got_from_next = at::zeros_like(to_previous);

  std::vector<std::unique_ptr<Work>> works;
  works.push_back(nccl_->send(large, next, 1));
  works.push_back(nccl_->send(to_previous, previous, 2));
  works.push_back(nccl_->send(small, next, 1));
  if (size_ > 2) {
    works.push_back(nccl_->receive(got_from_next, next, 2));
    works.push_back(nccl_->receive(got_large, previous, 1));
    works.push_back(nccl_->receive(got_small, previous, 1));
  } else {  // the only peer is both neighbours, and its messages come in its order
    works.push_back(nccl_->receive(got_large, previous, 1));
    works.push_back(nccl_->receive(got_from_next, next, 2));
    works.push_back(nccl_->receive(got_small, previous, 1));
  }
  for (auto work = works.rbegin(); work != works.rend(); ++work) (*work)->wait();

  EXPECT_TRUE(same_bits(got_large, values_of(previous, 300001, GetParam())));
  EXPECT_TRUE(same_bits(got_small, values_of(previous + 50, 10, GetParam())));
  EXPECT_TRUE(same_bits(got_from_next, values_of(next + 100, 1000, GetParam())));
}

class NcclOrder : public NcclGroup {};

INSTANTIATE_TEST_SUITE_P(Of, NcclOrder, testing::Values(at::kFloat));

TEST_P(NcclOrder, NotANumberAndTheSignOfZeroAreTreatedAsByMpi) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  // Each column is a pair of values that ranks of even and odd number bring.
  const at::Tensor even = at::tensor({nan, 1.0F, -0.0F, 0.0F, nan}), odd = at::tensor({1.0F, nan, 0.0F, -0.0F, nan});
  for (const ReduceOp op : {ReduceOp::kSum, ReduceOp::kMax, ReduceOp::kMin}) {
    const at::Tensor tensor = (rank_ % 2 == 0 ? even : odd).repeat({5}), expected = tensor.clone();
    mpi_->all_reduce(expected, op)->wait();

    nccl_->all_reduce(tensor, op)->wait();

    EXPECT_TRUE(same_bits(tensor, expected)) << "reduction " << static_cast<int>(op) << ": " << tensor;
  }
}

TEST_P(NcclOrder, ACollectiveWaitsForWhatTheComputeStreamWasGivenBefore) {
  const at::Tensor tensor = at::zeros({1000});
  gpu_.hold(gpu_.compute_stream());
  gpu_.launch(gpu_.compute_stream(), [tensor, value = rank_ + 1] { tensor.fill_(value); });

  const auto work = nccl_->all_reduce(tensor, ReduceOp::kSum);
  const float before = tensor[0].item<float>();
  gpu_.release(gpu_.compute_stream());
  work->wait();

  EXPECT_EQ(before, 0.0F) << "the compute stream did not stand still";
  EXPECT_TRUE(at::equal(tensor, at::full({1000}, static_cast<float>(size_ * (size_ + 1)) / 2.0F)));
}

TEST_P(NcclOrder, ACollectiveDoesNotWaitForWhatTheComputeStreamIsGivenLater) {
  const at::Tensor tensor = at::ones({1000});
  const auto work = nccl_->all_reduce(tensor, ReduceOp::kSum);
  gpu_.hold(gpu_.compute_stream());

  work->wait();

  EXPECT_TRUE(at::equal(tensor, at::full({1000}, static_cast<float>(size_))));
}

TEST_P(NcclOrder, SeveralOperationsMayOverlapAndBeWaitedOnInAnyOrder) {
  const at::Tensor a = at::ones({1000, 3}), b = at::full({50'000}, 2.0F), c = at::ones({3});
  const auto rows_a = even_row_shards(1000, size_), rows_b = even_row_shards(50'000, size_);

  const auto scatter = nccl_->reduce_scatter(a, rows_a);
  const auto gather = nccl_->all_gather_rows(b, rows_b);
  const auto sum = nccl_->all_reduce(c, ReduceOp::kSum);
  sum->wait();
  gather->wait();
  scatter->wait();

  const auto ranks = static_cast<float>(size_);
  const std::int64_t own = rows_a[static_cast<std::size_t>(rank_)];
  EXPECT_TRUE(at::equal(a.narrow(0, first_row(rows_a, rank_), own), at::full({own, 3}, ranks)));
  EXPECT_TRUE(at::equal(b, at::full({50'000}, 2.0F)));
  EXPECT_TRUE(at::equal(c, at::full({3}, ranks)));
}

TEST_P(NcclOrder, CountsTheBytesThatMpiWouldSend) {
  const at::Tensor whole = at::ones({12 * 5000});
  const auto rows = even_row_shards(whole.numel(), size_);
  for (ProcessGroup* group : {nccl_.get(), mpi_.get()}) {
    const std::uint64_t share = whole.nbytes() / static_cast<std::size_t>(size_) * static_cast<std::size_t>(size_ - 1);
    const std::uint64_t before = group->bytes_sent();
    group->all_reduce(whole, ReduceOp::kSum)->wait();
    const std::uint64_t after_sum = group->bytes_sent();
    group->all_gather_rows(whole, rows)->wait();

    EXPECT_EQ(after_sum - before, 2 * share);
    EXPECT_EQ(group->bytes_sent() - after_sum, share);
  }
}

TEST_P(NcclOrder, RefusesWhatMpiRefuses) {
  EXPECT_THROW(nccl_->all_reduce(at::ones({4, 4}).t().slice(0, 0, 2), ReduceOp::kSum), std::invalid_argument);
  EXPECT_THROW(nccl_->all_reduce(at::ones({4}, at::kHalf), ReduceOp::kSum), std::invalid_argument);
  EXPECT_THROW(nccl_->all_reduce(at::Tensor(), ReduceOp::kSum), std::invalid_argument);
  EXPECT_THROW(nccl_->broadcast(at::ones({1}), size_), std::invalid_argument);
  EXPECT_THROW(nccl_->send(at::ones({1}), rank_, 0), std::invalid_argument);
  EXPECT_THROW(nccl_->reduce_scatter(at::ones({10}), even_row_shards(11, size_)), std::invalid_argument);

  nccl_->all_reduce(at::ones({4}), ReduceOp::kSum)->wait();  // a refused call leaves the group whole
}

TEST_P(NcclOrder, EndsItsCommunicatorsInOrder) {
  const int expected = size_ == 1 ? 1 : size_ == 2 ? 3 : 5;  // all ranks, and both ways to each neighbour
  EXPECT_EQ(gpu_.num_made, expected);

  nccl_.reset();

  EXPECT_EQ(gpu_.num_destroyed, expected);
  EXPECT_EQ(gpu_.num_aborted, 0);
}

TEST(NcclRouting, TakesHostTensorsAndBytesOverMpi) {
  FakeGpu gpu(*ranks());
  const auto group = make_nccl_process_group(gpu.libraries(), c10::Device(at::kMeta, 0), ranks(), "world");
  const int rank = group->rank(), size = group->size();
  const auto rows = even_row_shards(10, size);
  const at::Tensor sum = at::ones({3}), scattered = at::ones({10}), gathered = at::ones({10}), sent = at::ones({2});
  const at::Tensor got = at::zeros({2});

  group->all_reduce(sum, ReduceOp::kSum)->wait();
  group->reduce_scatter(scattered, rows)->wait();
  group->all_gather_rows(gathered, rows)->wait();
  group->broadcast(sent, 0)->wait();
  const auto all = group->all_gather(at::full({1}, static_cast<float>(rank)));
  const auto texts = group->all_gather_bytes(std::to_string(rank));
  group->barrier();
  if (size > 1) {
    const auto sending = group->send(sent, (rank + 1) % size, 3);
    group->receive(got, (rank + size - 1) % size, 3)->wait();
    sending->wait();
  }

  EXPECT_EQ(sum[0].item<float>(), static_cast<float>(size));
  EXPECT_EQ(all.back().item<float>(), static_cast<float>(size - 1));
  EXPECT_EQ(texts.back(), std::to_string(size - 1));
  EXPECT_EQ(group->broadcast_bytes(std::to_string(rank), size - 1), std::to_string(size - 1));
  EXPECT_EQ(gpu.num_groups, 0);
}

using NcclRing = tests::AtLeastRanksTest<4>;

TEST_F(NcclRing, LinksOnlyNeighboursAndSaysSo) {
  FakeGpu gpu(*ranks());
  const auto group =
      make_nccl_process_group(gpu.libraries(), at::kCPU, ranks(), "pipeline axis", {RingLinks::kNeighbours});
  const int opposite = (group->rank() + 2) % group->size();

  try {
    group->send(at::ones({1}), opposite, 0);
    FAIL() << "it was sent";
  } catch (const std::invalid_argument& error) {
    EXPECT_NE(std::string(error.what()).find("'pipeline axis' has no NCCL link between ranks"), std::string::npos);
  }
}

}  // namespace
}  // namespace meshfold::dist
