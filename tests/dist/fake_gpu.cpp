#include "tests/dist/fake_gpu.hpp"

#include <array>
#include <numeric>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "dist/error.hpp"

namespace meshfold::tests {
namespace {

using dist::GpuEvent;
using dist::GpuStream;
using dist::NcclError;
using dist::NcclHandle;
using dist::NcclState;
using dist::NcclStatus;

constexpr int kTagOfFake = 7;

std::shared_ptr<dist::Communicator> all_ranks_again(const dist::Communicator& world) {
  std::vector<int> everyone(static_cast<std::size_t>(world.size()));
  std::iota(everyone.begin(), everyone.end(), 0);
  return world.create_group(everyone, kTagOfFake, "fake GPUs");
}

}  // namespace

/// A communicator: its ranks meet at the one that made the id, which tells each the world rank of every other.
struct FakeGpu::Peers {
  Peers(const dist::Communicator& world, int owner_rank, int first_tag, int num_ranks, int own_rank)
      : owner(owner_rank), tag(first_tag), size(num_ranks), rank(own_rank), meeting(world), world_ranks(num_ranks, -1) {
    if (world.rank() == owner) {
      arrivals.resize(static_cast<std::size_t>(size - 1));
      for (auto& arrival : arrivals) meeting.receive(arrival.data(), sizeof arrival, MPI_ANY_SOURCE, tag);
    } else {
      self = {rank, world.rank()};
      meeting.send(self.data(), sizeof self, owner, tag);
      meeting.receive(world_ranks.data(), world_ranks.size() * sizeof(int), owner, tag + 1);
    }
    if (world.rank() == owner) world_ranks[static_cast<std::size_t>(rank)] = owner;
  }

  bool advance(const dist::Communicator& world) {
    if (ready) return true;
    if (!meeting.test()) return false;
    if (world.rank() == owner && !has_told) {
      for (const auto& [its_rank, its_world_rank] : arrivals) {
        world_ranks[static_cast<std::size_t>(its_rank)] = its_world_rank;
      }
      for (const auto& arrival : arrivals) {
        meeting.send(world_ranks.data(), world_ranks.size() * sizeof(int), arrival[1], tag + 1);
      }
      has_told = true;
      return advance(world);
    }
    return ready = true;
  }

  int owner, tag, size, rank;
  dist::Transfers meeting;
  std::vector<int> world_ranks;
  std::vector<std::array<int, 2>> arrivals;  ///< rank and world rank
  std::array<int, 2> self{};
  bool has_told = false, ready = false, aborted = false;
};

FakeGpu::FakeGpu(const dist::Communicator& world) : ranks_(all_ranks_again(world)), compute_(make_stream()) {
  const std::string bus = std::to_string(10 + world.rank());
  devices.push_back({"Fake GPU", "0000:" + bus + ":00.0", std::size_t{8} << 30, std::size_t{8} << 30});
}

FakeGpu::~FakeGpu() = default;

void FakeGpu::hold(GpuStream* stream) {
  held_.insert(stream);
  streams_.at(stream).emplace_back([this, stream] { return !held_.contains(stream); });
}

void FakeGpu::report_late(int polls, NcclState state) {
  polls_until_report_ = polls;
  report_ = std::move(state);
}

GpuStream* FakeGpu::make_stream() {
  auto* stream = reinterpret_cast<GpuStream*>(next_handle_++);
  streams_[stream];
  return stream;
}

void FakeGpu::destroy(GpuStream* stream) noexcept { streams_.erase(stream); }

void FakeGpu::launch(GpuStream* stream, std::function<void()> work) {
  streams_.at(stream).emplace_back([work = std::move(work)] {
    work();
    return true;
  });
}

GpuEvent* FakeGpu::make_event() {
  auto* event = reinterpret_cast<GpuEvent*>(next_handle_++);
  events_[event] = std::make_shared<Event>();
  return event;
}

void FakeGpu::destroy(GpuEvent* event) noexcept { events_.erase(event); }

void FakeGpu::record(GpuEvent* event, GpuStream* stream) {
  const auto recorded = events_.at(event);
  streams_.at(stream).emplace_back([recorded, number = ++recorded->recorded] {
    recorded->passed = number;
    return true;
  });
}

void FakeGpu::wait(GpuStream* stream, GpuEvent* event) {
  const auto awaited = events_.at(event);
  streams_.at(stream).emplace_back([awaited, number = awaited->recorded] { return awaited->passed >= number; });
}

bool FakeGpu::has_happened(GpuEvent* event) {
  progress();
  const auto asked = events_.at(event);
  return asked->passed == asked->recorded;
}

void FakeGpu::progress() {
  bool moved = true;
  while (moved) {
    moved = false;
    for (auto& [stream, steps] : streams_) {
      while (!steps.empty() && steps.front()()) {
        steps.pop_front();
        moved = true;
      }
    }
  }
}

std::string FakeGpu::unique_id() {
  return std::to_string(ranks_->rank()) + " " + std::to_string(next_id_++ * ranks_->size() + ranks_->rank());
}

NcclHandle* FakeGpu::init(const std::string& unique_id, int size, int rank) {
  std::istringstream text(unique_id);
  int owner = -1, number = -1;
  if (!(text >> owner >> number)) throw NcclError("ncclCommInitRankConfig: invalid id");
  auto* handle = reinterpret_cast<NcclHandle*>(next_handle_++);
  communicators_[handle] = std::make_shared<Peers>(*ranks_, owner, 3 * number, size, rank);
  ++num_made;
  return handle;
}

NcclState FakeGpu::state(NcclHandle* communicator) {
  const auto peers = peers_of(communicator);
  if (polls_until_report_ >= 0 && polls_until_report_-- == 0) {
    polls_until_report_ = 0;
    return report_;
  }
  progress();
  return {peers->advance(*ranks_) && !never_ready ? NcclStatus::kReady : NcclStatus::kInProgress, ""};
}

std::shared_ptr<FakeGpu::Peers> FakeGpu::peers_of(NcclHandle* communicator) const {
  const auto found = communicators_.find(communicator);
  if (found == communicators_.end()) throw NcclError("NCCL: a communicator that was destroyed");
  return found->second;
}

void FakeGpu::group_start() {
  if (std::exchange(in_group_, true)) throw NcclError("ncclGroupStart: a group in a group");
}

void FakeGpu::send(NcclHandle* communicator, const void* bytes, std::size_t size, int peer, GpuStream* stream) {
  add_to_group(communicator, {true, const_cast<void*>(bytes), size, peer}, stream);
}

void FakeGpu::receive(NcclHandle* communicator, void* bytes, std::size_t size, int peer, GpuStream* stream) {
  add_to_group(communicator, {false, bytes, size, peer}, stream);
}

void FakeGpu::add_to_group(NcclHandle* communicator, Message message, GpuStream* stream) {
  const auto peers = peers_of(communicator);
  if (!in_group_) throw NcclError("NCCL: a message outside of a group");
  if (!peers->ready) throw NcclError("NCCL: the communicator is not ready");
  if (message.peer == peers->rank || message.peer < 0 || message.peer >= peers->size) {
    throw NcclError("NCCL: invalid peer");
  }
  group_[{communicator, stream}].push_back(message);
}

void FakeGpu::group_end() {
  if (!std::exchange(in_group_, false)) throw NcclError("ncclGroupEnd: no group");
  ++num_groups;
  for (auto& [place, messages] : std::exchange(group_, {})) {
    const auto peers = peers_of(place.first);
    const auto under_way = std::make_shared<std::unique_ptr<dist::Transfers>>();
    streams_.at(place.second).emplace_back([this, peers, under_way, messages = std::move(messages)] {
      if (peers->aborted) return true;
      if (*under_way == nullptr) {
        *under_way = std::make_unique<dist::Transfers>(*ranks_);
        for (const Message& message : messages) {
          const int peer = peers->world_ranks[static_cast<std::size_t>(message.peer)];
          if (message.outgoing) {
            (*under_way)->send(message.bytes, message.size, peer, peers->tag + 2);
          } else {
            (*under_way)->receive(message.bytes, message.size, peer, peers->tag + 2);
          }
        }
      }
      return (*under_way)->test();
    });
  }
}

void FakeGpu::finalize(NcclHandle* communicator) {
  if (!peers_of(communicator)->ready) throw NcclError("ncclCommFinalize: the communicator is not ready");
}

void FakeGpu::destroy(NcclHandle* communicator) noexcept {
  communicators_.erase(communicator);
  ++num_destroyed;
}

void FakeGpu::abort(NcclHandle* communicator) noexcept {
  communicators_.at(communicator)->aborted = true;
  communicators_.erase(communicator);
  ++num_aborted;
}

}  // namespace meshfold::tests
