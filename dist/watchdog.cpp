#include "dist/watchdog.hpp"

#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/duration.hpp"
#include "dist/blocked_signals.hpp"

namespace meshfold::dist {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kPeerLostExitCode = 6;

}  // namespace

struct Watchdog::State {
  struct Running {
    std::string name;
    std::chrono::milliseconds deadline;
    Clock::time_point since;
  };

  int rank = 0;
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Running> phases;  ///< innermost last
  bool stopping = false;
  std::thread thread;

  void watch();
  [[noreturn]] void end_process(const Running& phase) const;
};

void Watchdog::State::watch() {
  std::unique_lock lock(mutex);
  while (!stopping) {
    if (phases.empty() || phases.back().deadline.count() == 0) {
      changed.wait(lock);
      continue;
    }
    const Clock::time_point end = phases.back().since + phases.back().deadline;
    if (Clock::now() >= end) end_process(phases.back());
    changed.wait_until(lock, end);
  }
}

void Watchdog::State::end_process(const Running& phase) const {
  const std::string line = "meshfold: rank " + std::to_string(rank) + " made no progress in '" + phase.name + "' for " +
                           base::seconds_text(phase.deadline) + ", its deadline; ending with exit code " +
                           std::to_string(kPeerLostExitCode) + "\n";
  // write and _exit, not streams and exit: the main thread may hold any lock of the C library.
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
  _exit(kPeerLostExitCode);
}

Watchdog::Watchdog(int rank) : state_(std::make_unique<State>()) {
  state_->rank = rank;
  const BlockedSignals blocked;
  state_->thread = std::thread([state = state_.get()] { state->watch(); });
}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->changed.notify_one();
  state_->thread.join();
}

Watchdog::Phase::Phase(Watchdog& watchdog, std::string name, std::chrono::milliseconds deadline) : watchdog_(watchdog) {
  {
    const std::lock_guard lock(watchdog_.state_->mutex);
    watchdog_.state_->phases.push_back({std::move(name), deadline, Clock::now()});
  }
  watchdog_.state_->changed.notify_one();
}

Watchdog::Phase::~Phase() {
  {
    const std::lock_guard lock(watchdog_.state_->mutex);
    auto& phases = watchdog_.state_->phases;
    phases.pop_back();
    if (!phases.empty()) phases.back().since = Clock::now();
  }
  watchdog_.state_->changed.notify_one();
}

void Watchdog::progress() {
  // No wake-up: the thread wakes at the old end, sees the later one and waits again.
  const std::lock_guard lock(state_->mutex);
  if (!state_->phases.empty()) state_->phases.back().since = Clock::now();
}

}  // namespace meshfold::dist
