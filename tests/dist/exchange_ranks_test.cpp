#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "dist/communicator.hpp"
#include "dist/mpi_process_group.hpp"
#include "tests/rank_environment.hpp"

namespace meshfold::dist {
namespace {

using tests::rank_environment;

std::unique_ptr<ProcessGroup> world() { return make_mpi_process_group(rank_environment().world(), "world"); }

/// A tensor that no other rank has, of the given element count.
at::Tensor own_tensor(int rank, std::int64_t size) { return at::arange(size, at::kInt).add_(rank * 1'000'003); }

TEST(Broadcast, BringsTheRootsTensorToAll) {
  const auto group = world();
  for (int root = 0; root < group->size(); ++root) {
    for (const std::int64_t size : {0, 1, 1000, 300001}) {
      const at::Tensor tensor = own_tensor(group->rank(), size);

      group->broadcast(tensor, root)->wait();

      EXPECT_TRUE(tensor.equal(own_tensor(root, size))) << size << " elements from rank " << root;
    }
  }
}

TEST(Broadcast, RefusesARootThatIsNotInTheGroup) {
  const auto group = world();

  EXPECT_THROW(group->broadcast(at::ones({1}), group->size()), std::invalid_argument);
  EXPECT_THROW(group->broadcast_bytes("x", -1), std::invalid_argument);
}

TEST(BroadcastBytes, BringsAStringOfAnyLengthToAll) {
  const auto group = world();
  for (int root = 0; root < group->size(); ++root) {
    for (const std::size_t length : {0, 1, 70'000}) {
      const std::string bytes(length, static_cast<char>('a' + group->rank()));

      EXPECT_EQ(group->broadcast_bytes(bytes, root), std::string(length, static_cast<char>('a' + root)));
    }
  }
}

TEST(AllGather, GivesACopyOfEveryRanksTensorInRankOrder) {
  const auto group = world();
  for (const std::int64_t size : {0, 3, 300001}) {
    const at::Tensor tensor = own_tensor(group->rank(), size);

    const std::vector<at::Tensor> gathered = group->all_gather(tensor);

    ASSERT_EQ(gathered.size(), static_cast<std::size_t>(group->size()));
    for (int r = 0; r < group->size(); ++r) {
      EXPECT_TRUE(gathered[static_cast<std::size_t>(r)].equal(own_tensor(r, size))) << "of rank " << r;
    }
    if (size > 0) {
      EXPECT_NE(gathered[static_cast<std::size_t>(group->rank())].data_ptr(), tensor.data_ptr());
    }
  }
}

TEST(AllGatherBytes, TakesStringsOfUnequalLengthWithZerosInside) {
  const auto group = world();
  const auto text_of = [](int rank) {  // empty on rank 0, then 1, 100,000, 2, 200,000, ... bytes
    const int length = rank == 0 ? 0 : rank % 2 == 1 ? (rank + 1) / 2 : rank / 2 * 100'000;
    std::string text(static_cast<std::size_t>(length), static_cast<char>(rank));
    if (length > 1) text[0] = '\0';
    return text;
  };

  const std::vector<std::string> gathered = group->all_gather_bytes(text_of(group->rank()));

  ASSERT_EQ(gathered.size(), static_cast<std::size_t>(group->size()));
  for (int r = 0; r < group->size(); ++r) EXPECT_EQ(gathered[static_cast<std::size_t>(r)], text_of(r));
}

TEST(Barrier, HoldsEveryRankUntilTheLastOneCame) {
  const auto group = world();
  using Clock = std::chrono::steady_clock;
  group->barrier();
  const auto start = Clock::now();
  const bool last = group->rank() == group->size() - 1;
  if (last) std::this_thread::sleep_for(std::chrono::milliseconds(100));

  group->barrier();

  EXPECT_GE(Clock::now() - start, std::chrono::milliseconds(group->size() > 1 ? 80 : 0));
}

using PointToPoint = tests::AtLeastRanksTest<2>;

TEST_F(PointToPoint, TensorsTravelRoundARingAndTagsKeepThemApart) {
  const auto group = world();
  const int next = (group->rank() + 1) % group->size();
  const int previous = (group->rank() + group->size() - 1) % group->size();
  const at::Tensor large = own_tensor(group->rank(), 300001), small = own_tensor(group->rank() + 50, 10);
  const at::Tensor got_large = at::zeros({300001}, at::kInt), got_small = at::zeros({10}, at::kInt);

  std::vector<std::unique_ptr<Work>> works;
  works.push_back(group->send(large, next, 1));
  works.push_back(group->send(small, next, kMaxUserTag));
  works.push_back(group->receive(got_small, previous, kMaxUserTag));
  works.push_back(group->receive(got_large, previous, 1));
  for (const auto& work : works) work->wait();

  EXPECT_TRUE(got_large.equal(own_tensor(previous, 300001)));
  EXPECT_TRUE(got_small.equal(own_tensor(previous + 50, 10)));
}

TEST_F(PointToPoint, RefusesItselfAStrangerAndAReservedTag) {
  const auto group = world();
  const int peer = (group->rank() + 1) % group->size();

  EXPECT_THROW(group->send(at::ones({1}), group->rank(), 0), std::invalid_argument);
  EXPECT_THROW(group->receive(at::ones({1}), group->size(), 0), std::invalid_argument);
  EXPECT_THROW(group->send(at::ones({1}), peer, kMaxUserTag + 1), std::invalid_argument);
  EXPECT_THROW(group->send(at::ones({1}), peer, -1), std::invalid_argument);
}

}  // namespace
}  // namespace meshfold::dist
