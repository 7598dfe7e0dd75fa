#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "dist/gpu/built_in_gpu.hpp"
#include "dist/gpu/gpu_placement.hpp"
#include "dist/gpu/gpu_runtime.hpp"
#include "dist/gpu/nccl_process_group.hpp"
#include "dist/mpi_process_group.hpp"
#include "dist/row_shards.hpp"
#include "tests/dist/tensors_of_ranks.hpp"
#include "tests/rank_environment.hpp"

namespace meshfold::dist {
namespace {

using tests::rank_environment, tests::same_bits, tests::values_of;

/// CUDA and NCCL themselves, beside the MPI group on the host that they must agree with.
class OnGpus : public testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override {
    const auto& mpi = rank_environment();
    const int num_gpus = gpu_->libraries().runtime.num_devices();
    if (num_gpus < mpi.local_size()) {
      GTEST_SKIP() << "this machine shows " << num_gpus << " GPUs and has " << mpi.local_size() << " ranks";
    }
    host_ = make_mpi_process_group(mpi.world(), "world");
    rank_ = host_->rank();
    size_ = host_->size();
    const auto ranks = choose_gpus(*host_, gpu_->libraries().runtime, mpi.host_name(), mpi.local_rank());
    ASSERT_EQ(fault_of(ranks), "");
    groups_ = make_gpu_groups(gpu_->libraries(), ranks, rank_);
    group_ = groups_->make(mpi.world(), "world", Traffic::kNeighbours);
  }

  at::Tensor on_gpu(const at::Tensor& tensor) const { return tensor.to(groups_->device()); }

  std::unique_ptr<BuiltInGpu> gpu_ = built_in_gpu();
  std::unique_ptr<ProcessGroup> host_;
  std::unique_ptr<GroupMaker> groups_;
  std::unique_ptr<ProcessGroup> group_;
  int rank_ = 0, size_ = 1;
};

TEST_P(OnGpus, SumsHaveTheBitsOfTheHost) {
  for (const std::int64_t size : {0, 1, 5, 1000, 3'000'001}) {
    for (const ReduceOp op : {ReduceOp::kSum, ReduceOp::kMax, ReduceOp::kMin}) {
      const at::Tensor expected = values_of(rank_, size, GetParam()), tensor = on_gpu(expected);
      host_->all_reduce(expected, op)->wait();

      group_->all_reduce(tensor, op)->wait();

      EXPECT_TRUE(same_bits(tensor.cpu(), expected)) << size << " elements, reduction " << static_cast<int>(op);
    }
  }
}

TEST_P(OnGpus, ScatteredSumsAndGatheredRowsHaveTheBitsOfTheHost) {
  for (const auto& rows : tests::ways_to_cut(3'011, size_)) {
    const at::Tensor expected = values_of(rank_, 3'011 * 9, GetParam()).view({3'011, 9}), whole = on_gpu(expected);
    host_->reduce_scatter(expected, rows)->wait();
    host_->all_gather_rows(expected, rows)->wait();

    group_->reduce_scatter(whole, rows)->wait();
    group_->all_gather_rows(whole, rows)->wait();

    EXPECT_TRUE(same_bits(whole.cpu(), expected));
  }
}

TEST_P(OnGpus, ASumTakesWhatKernelsBeforeItWroteAndIsThereForThoseAfterIt) {
  const at::Tensor tensor = at::zeros({1 << 22}, at::TensorOptions(GetParam()).device(groups_->device()));
  for (int i = 0; i < 100; ++i) tensor.add_(1);

  group_->all_reduce(tensor, ReduceOp::kSum)->wait();
  tensor.add_(1);

  EXPECT_TRUE(tensor.cpu().eq(100 * size_ + 1).all().item<bool>());
}

TEST_P(OnGpus, MessagesTravelRoundTheRing) {
  if (size_ == 1) return;  // a rank has no messages for itself
  const int next = (rank_ + 1) % size_, previous = (rank_ + size_ - 1) % size_;
  const at::Tensor sent = on_gpu(values_of(rank_, 300'001, GetParam())), got = at::zeros_like(sent);

  const auto sending = group_->send(sent, next, 1);
  group_->receive(got, previous, 1)->wait();
  sending->wait();

  EXPECT_TRUE(same_bits(got.cpu(), values_of(previous, 300'001, GetParam())));
}

INSTANTIATE_TEST_SUITE_P(Types, OnGpus, testing::Values(at::kFloat, at::kDouble, at::kInt, at::kLong),
                         [](const auto& type) { return c10::toString(type.param); });

}  // namespace
}  // namespace meshfold::dist
