#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace meshfold::dist {

struct HeartbeatConfig {
  int rank = 0, size = 1;
  std::string host_name;
  /// Silence of a peer that ends the run; 0: no heartbeat.
  std::chrono::milliseconds timeout{20'000};
  /// Each rank's text to every rank, in rank order (an all_gather over the world): called once, by the constructor.
  std::function<std::vector<std::string>(const std::string&)> exchange;
  /// Whether this rank was asked to stop; called from the heartbeat's thread.
  std::function<bool()> stop_requested;
  /// What to do about a lost peer, given the line that says so; called once, from the heartbeat's thread. Default:
  /// print the line and _exit(6), whereupon mpirun ends the others.
  std::function<void(const std::string&)> on_lost;
};

/// Signs of life around the ring of ranks, over TCP and from a thread of its own, so that they go on while the main
/// thread computes, writes or waits. It finds what MPI never reports: a process that is stopped (not dead), a machine
/// that vanished, a link that is cut; also while the rank waits without a deadline for the jobs of other groups. A
/// process that dies is mpirun's to notice. Each beat carries one bit: a rank was asked to stop; so a request to one
/// rank reaches all.
///
/// Collective over the world: every rank constructs it at the same time. No MPI calls in the thread.
class Heartbeat {
 public:
  /// Where the ring cannot be closed (a firewall between hosts), there is no heartbeat, and why_off() says so on every
  /// rank; the run goes on without.
  explicit Heartbeat(HeartbeatConfig config);
  ~Heartbeat();  ///< Says goodbye, so that the neighbours do not miss this rank.
  Heartbeat(const Heartbeat&) = delete;
  Heartbeat& operator=(const Heartbeat&) = delete;

  /// Whether any rank was asked to stop.
  bool stop_seen() const;
  /// Empty while the ring beats.
  const std::string& why_off() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace meshfold::dist
