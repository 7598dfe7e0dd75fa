#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "dist/blocked_signals.hpp"

namespace meshfold::dist {

/// The result of a call that may block in the kernel (a lock or a file on a server that does not answer), or nullopt if
/// it is not back within `deadline`. The call runs in a thread of its own, which a late call keeps: it must own all
/// that it touches and make no MPI calls. What it throws is thrown here.
template <typename Result>
std::optional<Result> call_within(std::chrono::milliseconds deadline, std::function<Result()> call) {
  auto task = std::make_shared<std::packaged_task<Result()>>(std::move(call));
  std::future<Result> result = task->get_future();
  {
    const BlockedSignals blocked;
    std::thread([task] { (*task)(); }).detach();
  }
  if (result.wait_for(deadline) != std::future_status::ready) return std::nullopt;
  return result.get();
}

}  // namespace meshfold::dist
