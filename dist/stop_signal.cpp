#include "dist/stop_signal.hpp"

#include <atomic>
#include <cerrno>
#include <system_error>

namespace meshfold::dist {
namespace {

constexpr std::array<int, 3> kSignals{SIGUSR1, SIGUSR2, SIGTERM};
std::atomic<bool> received = false;
static_assert(std::atomic<bool>::is_always_lock_free, "only a lock-free atomic may be used in a signal handler");

void note_signal(int) { received.store(true, std::memory_order_relaxed); }

}  // namespace

StopSignals::StopSignals() : before_{} {
  received = false;
  struct sigaction action {};
  action.sa_handler = note_signal;
  action.sa_flags = SA_RESTART;  // a read or write under way goes on; the request is looked at between steps
  sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    if (sigaction(kSignals[i], &action, &before_[i]) != 0) {
      throw std::system_error(errno, std::generic_category(), "sigaction");
    }
  }
}

StopSignals::~StopSignals() {
  for (std::size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &before_[i], nullptr);
}

bool stop_signal_received() { return received.load(std::memory_order_relaxed); }

}  // namespace meshfold::dist
