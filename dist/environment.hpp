#pragma once

#include <chrono>
#include <memory>
#include <string>

namespace meshfold::dist {

class Communicator;

/// MPI from first to last. Made first in main; everything else lives in an inner scope. MPI_THREAD_FUNNELED.
class Environment {
 public:
  /// `deadline` bounds every wait on a peer made through this environment's communicators. Throws MpiError if MPI
  /// cannot be started or does not offer MPI_THREAD_FUNNELED.
  Environment(int& argc, char**& argv, std::chrono::milliseconds deadline);
  ~Environment();  ///< MPI_Finalize, unless an exception is under way (then main aborts).
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  /// Ranks on this machine, and this rank's place among them.
  int local_rank() const { return local_rank_; }
  int local_size() const { return local_size_; }
  const std::string& host_name() const { return host_name_; }
  std::shared_ptr<Communicator> world() const { return world_; }
  std::chrono::milliseconds deadline() const { return deadline_; }
  /// Replaces the deadline (once the config is read) of the world; groups made before keep theirs.
  void set_deadline(std::chrono::milliseconds deadline);

  /// Ends every process of the job with `exit_code`; never returns. The caller has printed its one line.
  [[noreturn]] static void abort(int exit_code);

 private:
  int rank_ = 0, size_ = 1, local_rank_ = 0, local_size_ = 1;
  int exceptions_at_start_ = 0;
  std::string host_name_;
  std::chrono::milliseconds deadline_;
  std::shared_ptr<Communicator> world_;
};

}  // namespace meshfold::dist
