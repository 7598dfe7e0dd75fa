// Kept in a program of its own: these tests leave messages behind that no one will ever take.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <numeric>
#include <thread>
#include <vector>

#include "dist/communicator.hpp"
#include "dist/error.hpp"
#include "dist/mpi_process_group.hpp"
#include "dist/row_shards.hpp"
#include "tests/rank_environment.hpp"

namespace meshfold::dist {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using tests::rank_environment;

constexpr auto kShortDeadline = 300ms;

/// A communicator of its own for each case, so that no case sees another's leftovers.
std::shared_ptr<Communicator> fresh_communicator() {
  const auto world = rank_environment().world();
  std::vector<int> everyone(static_cast<std::size_t>(world->size()));
  std::iota(everyone.begin(), everyone.end(), 0);
  auto communicator = world->create_group(everyone, 5, "fresh");
  communicator->set_deadline(kShortDeadline);
  return communicator;
}

struct Case {
  const char* name;
  const char* operation;  ///< as the message names it
  std::function<void(ProcessGroup&)> call;
};

class SilentPeer : public testing::TestWithParam<Case> {};

TEST_P(SilentPeer, EndsTheWaitInPeerLostWithinTheDeadline) {
  const auto communicator = fresh_communicator();
  const auto group = make_mpi_process_group(communicator, "data axis of fold-1");
  const bool silent = group->rank() == group->size() - 1;
  if (silent) return;

  const auto start = Clock::now();
  std::string message;
  try {
    GetParam().call(*group);
  } catch (const PeerLost& error) {
    message = error.what();
  }

  const auto waited = Clock::now() - start;
  EXPECT_NE(message.find("rank " + std::to_string(group->rank()) + " of 'data axis of fold-1'"), std::string::npos)
      << message;
  EXPECT_NE(message.find(GetParam().operation), std::string::npos) << message;
  EXPECT_NE(message.find("0.3 s"), std::string::npos) << message;
  EXPECT_GE(waited, kShortDeadline);
  EXPECT_LT(waited, kShortDeadline + 3s);
}

INSTANTIATE_TEST_SUITE_P(
    Operations, SilentPeer,
    testing::Values(Case{"SmallAllReduce", "all_reduce of 40 bytes",
                         [](ProcessGroup& g) { g.all_reduce(at::ones({10}), ReduceOp::kSum)->wait(); }},
                    Case{"SlicedAllReduce", "all_reduce of 4000000 bytes",
                         [](ProcessGroup& g) { g.all_reduce(at::ones({1'000'000}), ReduceOp::kSum)->wait(); }},
                    Case{"ReduceScatter", "reduce_scatter of 4800000 bytes",
                         [](ProcessGroup& g) {
                           g.reduce_scatter(at::ones({1'200'000}), even_row_shards(1'200'000, g.size()))->wait();
                         }},
                    Case{"AllGatherRows", "all_gather_rows of 4800 bytes",
                         [](ProcessGroup& g) {
                           g.all_gather_rows(at::ones({1200}), even_row_shards(1200, g.size()))->wait();
                         }},
                    Case{"AllGather", "all_gather of 40 bytes", [](ProcessGroup& g) { g.all_gather(at::ones({10})); }},
                    Case{"AllGatherBytes", "all_gather_bytes", [](ProcessGroup& g) { g.all_gather_bytes("hello"); }},
                    Case{"Broadcast", "broadcast of 4 bytes from rank",
                         [](ProcessGroup& g) { g.broadcast(at::ones({1}), g.size() - 1)->wait(); }},
                    Case{"Receive", "receive of 4 bytes from rank",
                         [](ProcessGroup& g) { g.receive(at::ones({1}), g.size() - 1, 0)->wait(); }},
                    Case{"Barrier", "barrier", [](ProcessGroup& g) { g.barrier(); }}),
    [](const auto& instance) { return instance.param.name; });

TEST(SlowPeer, IsWaitedForWhileItKeepsItsDeadline) {
  const auto communicator = fresh_communicator();
  communicator->set_deadline(10s);
  const auto group = make_mpi_process_group(communicator, "patient");
  if (group->rank() == 0) std::this_thread::sleep_for(500ms);
  const at::Tensor tensor = at::ones({300001});

  group->all_reduce(tensor, ReduceOp::kSum)->wait();

  EXPECT_EQ(tensor[300000].item<float>(), static_cast<float>(group->size()));
}

}  // namespace
}  // namespace meshfold::dist
