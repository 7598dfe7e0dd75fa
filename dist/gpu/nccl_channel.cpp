#include "dist/gpu/nccl_channel.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <thread>
#include <utility>

#include "dist/communicator.hpp"
#include "dist/error.hpp"
#include "dist/polling_wait.hpp"

namespace meshfold::dist {
namespace {

using namespace std::chrono_literals;

constexpr auto kCloseDeadline = 10s;

}  // namespace

NcclChannel::NcclChannel(GpuLibraries gpu, std::shared_ptr<Communicator> communicator, std::string group,
                         const std::string& unique_id, int rank, int size)
    : gpu_(gpu),
      communicator_(std::move(communicator)),
      group_(std::move(group)),
      stream_(make_owned_stream(gpu.runtime)),
      handle_(gpu.nccl.init(unique_id, size, rank)) {
  try {
    wait_until_ready("ncclCommInitRankConfig");
  } catch (...) {
    abort();
    throw;
  }
}

NcclChannel::~NcclChannel() {
  if (handle_ == nullptr) return;
  if (std::uncaught_exceptions() > 0 || !close_in_order()) abort();
}

void NcclChannel::exchange(const std::vector<Message>& messages, const std::string& operation) {
  const auto is_empty = [](const Message& message) { return message.size == 0; };
  if (std::ranges::all_of(messages, is_empty)) return;
  gpu_.nccl.group_start();
  try {
    for (const Message& message : messages) {
      if (is_empty(message)) continue;
      if (message.way == Message::Way::kSend) {
        gpu_.nccl.send(handle_, message.bytes, message.size, message.peer, stream());
      } else {
        gpu_.nccl.receive(handle_, message.bytes, message.size, message.peer, stream());
      }
    }
  } catch (...) {
    const std::exception_ptr cause = std::current_exception();
    try {
      gpu_.nccl.group_end();  // or the next group of this thread would be inside of this one
    } catch (const NcclError&) {
    }
    std::rethrow_exception(cause);
  }
  gpu_.nccl.group_end();
  wait_until_ready(operation);
}

void NcclChannel::check(const std::string& operation) { is_ready(operation); }

bool NcclChannel::is_ready(const std::string& operation) {
  const NcclState state = gpu_.nccl.state(handle_);
  if (state.status == NcclStatus::kReady) return true;
  if (state.status == NcclStatus::kInProgress) return false;
  const std::string text = "rank " + std::to_string(communicator_->rank()) + " of '" + group_ + "' (" +
                           std::to_string(communicator_->size()) + " ranks): NCCL reports in " + operation + ": " +
                           state.words +
                           "; look at the last lines of the other ranks' logs, and set NCCL_DEBUG=WARN to be told more";
  if (state.status == NcclStatus::kPeerGone) throw PeerLost(text);
  throw NcclError(text);
}

void NcclChannel::wait_until_ready(const std::string& operation) {
  PollingWait pauses(*communicator_, group_, operation);
  while (!is_ready(operation)) pauses.pause();
}

bool NcclChannel::close_in_order() noexcept {
  using Clock = std::chrono::steady_clock;
  try {
    gpu_.nccl.finalize(handle_);
    const auto end = Clock::now() + std::min<Clock::duration>(kCloseDeadline, communicator_->deadline());
    while (!is_ready("ncclCommFinalize")) {
      if (Clock::now() >= end) return false;
      std::this_thread::sleep_for(1ms);
    }
  } catch (const std::exception&) {
    return false;
  }
  gpu_.nccl.destroy(handle_);
  return true;
}

void NcclChannel::abort() noexcept {
  if (handle_ == nullptr) return;
  gpu_.nccl.abort(handle_);
  handle_ = nullptr;
}

}  // namespace meshfold::dist
