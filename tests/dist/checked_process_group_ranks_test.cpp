#include "dist/checked_process_group.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "dist/communicator.hpp"
#include "dist/error.hpp"
#include "dist/mesh.hpp"
#include "dist/mpi_process_group.hpp"
#include "dist/row_shards.hpp"
#include "tests/rank_environment.hpp"

namespace meshfold::dist {
namespace {

using tests::rank_environment;
using Rows = std::vector<std::int64_t>;

/// On a communicator of its own, so that messages which nobody took do not reach the next test.
std::unique_ptr<ProcessGroup> checked_group() {
  const auto world = rank_environment().world();
  std::vector<int> everyone(static_cast<std::size_t>(world->size()));
  std::iota(everyone.begin(), everyone.end(), 0);
  return make_checked_process_group(make_mpi_process_group(world->create_group(everyone, 6, "checked"), "tensor axis"));
}

/// What the group says when rank 1 does `different` and the others `usual`; nothing if it does not notice.
std::string mismatch(const std::function<void(ProcessGroup&)>& usual,
                     const std::function<void(ProcessGroup&)>& different) {
  const auto group = checked_group();
  group->barrier();
  try {
    (group->rank() == 1 ? different : usual)(*group);
  } catch (const CallMismatch& error) {
    return error.what();
  }
  return "";
}

std::string others() { return rank_environment().size() == 2 ? "rank 0 calls " : "ranks 0, 2 call "; }

TEST(CheckedProcessGroup, NamesTheRanksWhoseVerbDiffers) {
  const std::string text = mismatch(
      [](ProcessGroup& g) {
        g.all_reduce(at::ones({3, 4}), ReduceOp::kSum)->wait();
      },
      [](ProcessGroup& g) { g.barrier(); });

  EXPECT_EQ(text, "'tensor axis', call 2: the ranks differ: " + others() +
                      "all_reduce (sum) of Float [3, 4]; rank 1 calls barrier");
}

TEST(CheckedProcessGroup, NamesTheRanksWhoseShapeDiffers) {
  const std::string text = mismatch(
      [](ProcessGroup& g) {
        g.all_gather(at::ones({3, 4}));
      },
      [](ProcessGroup& g) {
        g.all_gather(at::ones({4, 3}));
      });

  EXPECT_EQ(text, "'tensor axis', call 2: the ranks differ: " + others() +
                      "all_gather of Float [3, 4]; rank 1 calls all_gather of Float [4, 3]");
}

TEST(CheckedProcessGroup, NoticesAnotherOrderOfCalls) {
  const auto reduce = [](ProcessGroup& g) { g.all_reduce(at::ones({2}), ReduceOp::kSum)->wait(); };
  const auto broadcast = [](ProcessGroup& g) { g.broadcast(at::ones({2}), 0)->wait(); };

  const std::string text = mismatch(
      [&](ProcessGroup& g) {
        reduce(g);
        broadcast(g);
      },
      [&](ProcessGroup& g) {
        broadcast(g);
        reduce(g);
      });

  EXPECT_NE(text.find("call 2"), std::string::npos) << text;
  EXPECT_NE(text.find("rank 1 calls broadcast of Float [2] from rank 0"), std::string::npos) << text;
}

TEST(CheckedProcessGroup, NoticesAnotherTypeOperationRootOrShard) {
  const int ranks = rank_environment().size();
  Rows even = even_row_shards(12, ranks), uneven = even;
  --uneven[0];
  ++uneven[1];
  const auto reduce = [](at::ScalarType type, ReduceOp op) {
    return [=](ProcessGroup& g) { g.all_reduce(at::ones({2}, type), op)->wait(); };
  };
  const auto scatter = [](const Rows& rows) {
    return [=](ProcessGroup& g) { g.reduce_scatter(at::ones({12}), rows)->wait(); };
  };
  const auto broadcast = [](int root) { return [=](ProcessGroup& g) { g.broadcast(at::ones({2}), root)->wait(); }; };

  EXPECT_NE(mismatch(reduce(at::kFloat, ReduceOp::kSum), reduce(at::kDouble, ReduceOp::kSum)), "");
  EXPECT_NE(mismatch(reduce(at::kFloat, ReduceOp::kSum), reduce(at::kFloat, ReduceOp::kMax)), "");
  EXPECT_NE(mismatch(scatter(even), scatter(uneven)), "");
  EXPECT_NE(mismatch(broadcast(0), broadcast(1)), "");
}

TEST(CheckedProcessGroup, GivesTheResultsOfTheGroupItWrapsOnAMesh) {
  const int ranks = rank_environment().size();
  const Mesh mesh(rank_environment().world(), {ranks, 1, 1}, "checked", CallChecks::kOn);
  ProcessGroup& group = mesh.data();
  const int next = (group.rank() + 1) % ranks, previous = (group.rank() + ranks - 1) % ranks;
  const at::Tensor sum = at::ones({5}), whole = at::ones({ranks, 2}), got = at::zeros({3}), root = at::zeros({1});
  if (group.rank() == 0) root.fill_(4.0F);
  const Rows rows = even_row_shards(ranks, ranks);

  group.all_reduce(sum, ReduceOp::kSum)->wait();
  group.reduce_scatter(whole, rows)->wait();
  group.all_gather_rows(whole, rows)->wait();
  group.broadcast(root, 0)->wait();
  auto sent = group.send(at::full({3}, static_cast<float>(group.rank())), next, 1);
  group.receive(got, previous, 1)->wait();
  sent->wait();

  EXPECT_TRUE(at::equal(sum, at::full({5}, static_cast<float>(ranks))));
  EXPECT_TRUE(at::equal(whole, at::full({ranks, 2}, static_cast<float>(ranks))));
  EXPECT_EQ(root.item<float>(), 4.0F);
  EXPECT_TRUE(at::equal(got, at::full({3}, static_cast<float>(previous))));
  EXPECT_EQ(group.all_gather_bytes("x").size(), static_cast<std::size_t>(ranks));
  EXPECT_EQ(group.broadcast_bytes(group.rank() == 0 ? "hello" : "", 0), "hello");
  EXPECT_EQ(group.all_gather(sum).size(), static_cast<std::size_t>(ranks));
  group.barrier();
}

/// Last, since the message that nobody took confuses later communicators of this process.
TEST(CheckedProcessGroup, TellsTheReceiverThatAnotherMessageComes) {
  const std::string text = mismatch(
      [](ProcessGroup& g) {
        if (g.rank() == 0) g.send(at::ones({2, 3}), 1, 7)->wait();
      },
      [](ProcessGroup& g) { g.receive(at::ones({6}, at::kDouble), 0, 7)->wait(); });

  const bool receiver = rank_environment().rank() == 1;
  EXPECT_EQ(text, receiver ? "'tensor axis', tag 7: rank 0 sends Float [2, 3]; rank 1 receives Double [6]" : "");
}

}  // namespace
}  // namespace meshfold::dist
