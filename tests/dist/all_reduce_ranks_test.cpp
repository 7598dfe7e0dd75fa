#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "dist/communicator.hpp"
#include "dist/mpi_process_group.hpp"
#include "dist/reduction_tree.hpp"
#include "tests/dist/tensors_of_ranks.hpp"
#include "tests/rank_environment.hpp"

namespace meshfold::dist {
namespace {

using tests::rank_environment, tests::same_bits, tests::values_of, tests::values_of_all;

constexpr std::int64_t kSizes[] = {0, 1, 5, 1000,
                                   300001};  // the last goes by slices, with a remainder on any rank count

std::unique_ptr<ProcessGroup> world() { return make_mpi_process_group(rank_environment().world(), "world"); }

class AllReduce : public testing::TestWithParam<at::ScalarType> {};

TEST_P(AllReduce, SumHasTheBitsOfTheTreeAddedOnOneHost) {
  const auto group = world();
  for (const std::int64_t size : kSizes) {
    auto expected = values_of_all(group->size(), size, GetParam());
    reduce_in_tree_order(expected, [](at::Tensor& a, const at::Tensor& b) { a.add_(b); });
    const at::Tensor tensor = values_of(group->rank(), size, GetParam());

    group->all_reduce(tensor, ReduceOp::kSum)->wait();

    EXPECT_TRUE(same_bits(tensor, expected[0])) << size << " elements";
  }
}

TEST_P(AllReduce, MaxAndMinAreThoseOfAllRanks) {
  const auto group = world();
  for (const std::int64_t size : kSizes) {
    const at::Tensor all = at::stack(values_of_all(group->size(), size, GetParam()));
    const at::Tensor largest = values_of(group->rank(), size, GetParam());
    const at::Tensor smallest = largest.clone();

    group->all_reduce(largest, ReduceOp::kMax)->wait();
    group->all_reduce(smallest, ReduceOp::kMin)->wait();

    EXPECT_TRUE(same_bits(largest, all.amax(0))) << size << " elements";
    EXPECT_TRUE(same_bits(smallest, all.amin(0))) << size << " elements";
  }
}

INSTANTIATE_TEST_SUITE_P(Types, AllReduce, testing::Values(at::kFloat, at::kDouble, at::kInt, at::kLong),
                         [](const auto& type) { return c10::toString(type.param); });

TEST(AllReduceWork, SeveralMayOverlapAndBeWaitedOnInAnyOrder) {
  const auto group = world();
  const std::int64_t sizes[] = {300001, 7, 2'000'000};
  std::vector<at::Tensor> tensors;
  std::vector<std::unique_ptr<Work>> works;
  for (const std::int64_t size : sizes) {
    tensors.push_back(at::full({size}, static_cast<double>(group->rank() + size), at::kDouble));
    works.push_back(group->all_reduce(tensors.back(), ReduceOp::kSum));
  }

  for (const int i : {1, 0, 2}) works[static_cast<std::size_t>(i)]->wait();

  const double ranks = group->size();
  for (std::size_t i = 0; i < std::size(sizes); ++i) {
    const double expected = ranks * static_cast<double>(sizes[i]) + ranks * (ranks - 1) / 2;
    EXPECT_TRUE((tensors[i] == expected).all().item<bool>()) << sizes[i] << " elements";
  }
}

TEST(AllReduceWork, KeepsTheTensorAlive) {
  const auto group = world();
  at::Tensor tensor = at::ones({300001});
  const auto work = group->all_reduce(tensor, ReduceOp::kSum);
  const auto before = tensor.use_count();

  EXPECT_GE(before, 2);
  work->wait();
}

TEST(AllReduceArguments, RefuseWhatIsNotDenseOrCannotBeAdded) {
  const auto group = world();

  EXPECT_THROW(group->all_reduce(at::ones({4, 4}).t().slice(0, 0, 2), ReduceOp::kSum), std::invalid_argument);
  EXPECT_THROW(group->all_reduce(at::ones({4}, at::kHalf), ReduceOp::kSum), std::invalid_argument);
  EXPECT_THROW(group->all_reduce(at::Tensor(), ReduceOp::kSum), std::invalid_argument);
}

}  // namespace
}  // namespace meshfold::dist
