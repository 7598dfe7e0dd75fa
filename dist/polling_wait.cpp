#include "dist/polling_wait.hpp"

#include <sched.h>

#include <algorithm>
#include <thread>

#include "base/duration.hpp"
#include "dist/communicator.hpp"
#include "dist/error.hpp"

namespace meshfold::dist {
namespace {

using namespace std::chrono_literals;

// MPI moves a shared-memory message only while both sides test, so a wait stays awake (yielding) for the time that a
// chunk may take, before it sleeps.
constexpr auto kYieldOnly = 2ms;
constexpr auto kFirstSleep = 10us;
constexpr auto kLongestSleep = 100us;

}  // namespace

PollingWait::PollingWait(const Communicator& communicator, const std::string& group, const std::string& operation)
    : communicator_(communicator),
      group_(group),
      operation_(operation),
      last_progress_(Clock::now()),
      sleep_(kFirstSleep) {}

void PollingWait::progress() {
  last_progress_ = Clock::now();
  sleep_ = kFirstSleep;
}

void PollingWait::pause() {
  const auto waited = Clock::now() - last_progress_;
  if (waited < kYieldOnly) {
    sched_yield();
    return;
  }
  if (waited >= communicator_.deadline()) {
    throw PeerLost("rank " + std::to_string(communicator_.rank()) + " of '" + group_ + "' (" +
                   std::to_string(communicator_.size()) + " ranks) waited " +
                   base::seconds_text(communicator_.deadline()) + " in " + operation_ +
                   " and a peer did not answer; look at the last lines of the other ranks' logs");
  }
  std::this_thread::sleep_for(sleep_);
  sleep_ = std::min<std::chrono::microseconds>(2 * sleep_, kLongestSleep);
}

}  // namespace meshfold::dist
