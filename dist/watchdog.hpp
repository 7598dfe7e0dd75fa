#pragma once

#include <chrono>
#include <memory>
#include <string>

namespace meshfold::dist {

/// Ends this process when the main thread stays in one phase beyond its deadline: the guard for what cannot be polled
/// (MPI_Init, HDF5, fsync, communicator creation) and for a main thread that is stuck. On a miss it prints one line
/// that names the rank and the phase and calls _exit(6); mpirun then ends the others. One thread, no MPI calls.
class Watchdog {
 public:
  explicit Watchdog(int rank);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// A phase lasts until the guard goes; phases nest, the innermost counts, and the outer one's clock starts anew when
  /// the inner one ends. Zero deadline: no limit. Outside every phase nothing is watched.
  class Phase {
   public:
    Phase(Watchdog& watchdog, std::string name, std::chrono::milliseconds deadline);
    ~Phase();
    Phase(const Phase&) = delete;
    Phase& operator=(const Phase&) = delete;

   private:
    Watchdog& watchdog_;
  };
  /// Restarts the clock of the innermost phase (a step was finished).
  void progress();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace meshfold::dist
