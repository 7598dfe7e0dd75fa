// Kept in a program of its own: these tests leave messages behind that no one will ever take.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "dist/error.hpp"
#include "dist/gpu/nccl_process_group.hpp"
#include "dist/row_shards.hpp"
#include "tests/dist/fake_gpu.hpp"
#include "tests/rank_environment.hpp"

namespace meshfold::dist {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using tests::FakeGpu, tests::rank_environment;

constexpr auto kDeadline = 300ms;

/// A group with a short deadline, on communicators that no other case sees.
struct Group {
  Group() : gpu(*rank_environment().world()) {
    const auto world = rank_environment().world();
    std::vector<int> everyone(static_cast<std::size_t>(world->size()));
    std::iota(everyone.begin(), everyone.end(), 0);
    communicator = world->create_group(everyone, 5, "fresh");
    // The group itself is made under the deadline of the world.
    group = make_nccl_process_group(gpu.libraries(), at::kCPU, communicator, "pipeline axis of fold-1",
                                    {RingLinks::kNeighbours});
    communicator->set_deadline(kDeadline);
  }
  bool is_last() const { return group->rank() == group->size() - 1; }
  std::string self() const { return "rank " + std::to_string(group->rank()) + " of 'pipeline axis of fold-1'"; }

  FakeGpu gpu;
  std::shared_ptr<Communicator> communicator;
  std::unique_ptr<ProcessGroup> group;
};

/// What `call` says when it fails; empty: it did not.
template <typename Error>
std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

struct Case {
  const char* name;
  const char* operation;  ///< as the message names it
  std::function<void(ProcessGroup&)> call;
};

class SilentNcclPeer : public testing::TestWithParam<Case> {};

TEST_P(SilentNcclPeer, EndsTheWaitWithinTheDeadlineAndTheGroupWithIt) {
  Group fixture;
  if (fixture.is_last()) return;
  const int num_made = fixture.gpu.num_made;

  const auto start = Clock::now();
  const std::string message = message_of<PeerLost>([&] { GetParam().call(*fixture.group); });
  const auto waited = Clock::now() - start;
  const auto again = Clock::now();
  const std::string later = message_of<PeerLost>([&] { fixture.group->broadcast(at::ones({1}), 0)->wait(); });

  EXPECT_TRUE(contains(message, fixture.self())) << message;
  EXPECT_TRUE(contains(message, GetParam().operation)) << message;
  EXPECT_TRUE(contains(message, "0.3 s")) << message;
  EXPECT_GE(waited, kDeadline);
  EXPECT_LT(waited, kDeadline + 3s);
  EXPECT_EQ(fixture.gpu.num_aborted, num_made);
  EXPECT_EQ(later, message);
  EXPECT_LT(Clock::now() - again, 100ms);
}

int last_of(const ProcessGroup& group) { return group.size() - 1; }

INSTANTIATE_TEST_SUITE_P(
    Operations, SilentNcclPeer,
    testing::Values(
        Case{"AllReduce", "all_reduce of 4000 bytes",
             [](ProcessGroup& g) { g.all_reduce(at::ones({1000}), ReduceOp::kSum)->wait(); }},
        Case{"ReduceScatter", "reduce_scatter of 4800 bytes",
             [](ProcessGroup& g) { g.reduce_scatter(at::ones({1200}), even_row_shards(1200, g.size()))->wait(); }},
        Case{"AllGatherRows", "all_gather_rows of 4800 bytes",
             [](ProcessGroup& g) { g.all_gather_rows(at::ones({1200}), even_row_shards(1200, g.size()))->wait(); }},
        Case{"AllGather", "all_gather of 40 bytes", [](ProcessGroup& g) { g.all_gather(at::ones({10})); }},
        Case{"Broadcast", "broadcast of 4 bytes from rank",
             [](ProcessGroup& g) { g.broadcast(at::ones({1}), last_of(g))->wait(); }}),
    [](const auto& instance) { return instance.param.name; });

TEST(SilentNcclNeighbour, IsNamedWithTheMessageThatItOwes) {
  Group fixture;
  const int last = last_of(*fixture.group);
  if (fixture.group->rank() != 0) return;

  const std::string message = message_of<PeerLost>([&] { fixture.group->receive(at::ones({1}), last, 0)->wait(); });

  EXPECT_TRUE(contains(message, fixture.self())) << message;
  EXPECT_TRUE(contains(message, "receive of 4 bytes from rank " + std::to_string(last))) << message;
}

TEST(LateNcclError, OfAPeerThatIsGoneIsPeerLostInItsOwnWords) {
  Group fixture;
  const int num_made = fixture.gpu.num_made;
  const auto work = fixture.is_last() ? nullptr : fixture.group->all_reduce(at::ones({100}), ReduceOp::kSum);
  if (fixture.is_last()) return;
  fixture.gpu.report_late(2, {NcclStatus::kPeerGone, "remote process exited or there was a network error"});

  const auto start = Clock::now();
  const std::string message = message_of<PeerLost>([&] { work->wait(); });

  EXPECT_LT(Clock::now() - start, kDeadline) << "it waited for the deadline";
  EXPECT_TRUE(contains(message, fixture.self())) << message;
  EXPECT_TRUE(contains(message, "all_reduce of 400 bytes: remote process exited")) << message;
  EXPECT_TRUE(contains(message, "logs")) << message;
  EXPECT_EQ(fixture.gpu.num_aborted, num_made);
  EXPECT_EQ(message_of<PeerLost>([&] { fixture.group->send(at::ones({1}), last_of(*fixture.group), 0); }), message);
}

TEST(LateNcclError, OfTheLibraryIsAnNcclError) {
  Group fixture;
  fixture.gpu.report_late(0, {NcclStatus::kFailed, "internal error"});

  const std::string message =
      message_of<NcclError>([&] { fixture.group->all_reduce(at::ones({100}), ReduceOp::kSum)->wait(); });

  EXPECT_TRUE(contains(message, "internal error")) << message;
  EXPECT_TRUE(contains(message, "NCCL_DEBUG")) << message;
}

TEST(LateNcclError, LeavesBytesAndHostCallsAsTheyWere) {
  Group fixture;
  fixture.communicator->set_deadline(60s);
  fixture.gpu.report_late(0, {NcclStatus::kFailed, "internal error"});
  message_of<NcclError>([&] { fixture.group->all_reduce(at::ones({100}), ReduceOp::kSum)->wait(); });

  EXPECT_EQ(fixture.group->broadcast_bytes("x", 0), "x");  // the farewell of the failed ranks needs them
}

TEST(NcclInit, ThatNeverCompletesEndsWithinTheDeadline) {
  const auto world = rank_environment().world();
  FakeGpu gpu(*world);
  gpu.never_ready = true;
  std::vector<int> everyone(static_cast<std::size_t>(world->size()));
  std::iota(everyone.begin(), everyone.end(), 0);
  const auto communicator = world->create_group(everyone, 5, "fresh");
  communicator->set_deadline(kDeadline);

  const auto start = Clock::now();
  const std::string message = message_of<PeerLost>(
      [&] { make_nccl_process_group(gpu.libraries(), at::kCPU, communicator, "data axis of train"); });

  EXPECT_TRUE(contains(message, "of 'data axis of train'")) << message;
  EXPECT_TRUE(contains(message, "ncclCommInitRankConfig")) << message;
  EXPECT_LT(Clock::now() - start, kDeadline + 3s);
  EXPECT_EQ(gpu.num_aborted, 1);
}

}  // namespace
}  // namespace meshfold::dist
