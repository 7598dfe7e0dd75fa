#pragma once

#include <chrono>
#include <string>

namespace meshfold::dist {

class Communicator;

/// The pauses of one Test loop: gives the core away between tries, sleeps once nothing has moved for a while, and
/// throws PeerLost after the communicator's deadline without progress.
///
///     PollingWait wait(communicator, group_name, "broadcast of 400 bytes");
///     while (!finished()) wait.pause();
class PollingWait {
 public:
  /// The arguments must outlive this object.
  PollingWait(const Communicator& communicator, const std::string& group, const std::string& operation);
  /// Restarts the clock: a part of the operation was completed.
  void progress();
  /// After a try that found nothing.
  void pause();

 private:
  using Clock = std::chrono::steady_clock;

  const Communicator& communicator_;
  const std::string& group_;
  const std::string& operation_;
  Clock::time_point last_progress_;
  std::chrono::microseconds sleep_;
};

}  // namespace meshfold::dist
