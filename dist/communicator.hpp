#pragma once

#include <mpi.h>

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>

namespace meshfold::dist {

/// Owns one MPI communicator (errors are returned, not fatal). Movable handle type behind shared_ptr; freed by its
/// members when the last owner goes, or leaked on purpose when an exception is under way (freeing is collective).
class Communicator {
 public:
  /// Takes ownership; `owned = false` for MPI_COMM_WORLD.
  enum class Ownership { kOwned, kBorrowed };
  Communicator(MPI_Comm handle, Ownership ownership, std::string name, std::chrono::milliseconds deadline);
  ~Communicator();
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  MPI_Comm handle() const { return handle_; }
  int rank() const { return rank_; }
  int size() const { return size_; }
  const std::string& name() const { return name_; }
  std::chrono::milliseconds deadline() const { return deadline_; }
  void set_deadline(std::chrono::milliseconds deadline) { deadline_ = deadline; }

  /// Collective over the listed ranks only (MPI_Comm_create_group); `ranks` are ranks of this communicator in the
  /// wanted order, the caller among them. `tag` separates groups that are made at the same time.
  std::shared_ptr<Communicator> create_group(std::span<const int> ranks, int tag, std::string name) const;

 private:
  MPI_Comm handle_;
  Ownership ownership_;
  std::string name_;
  std::chrono::milliseconds deadline_;
  int rank_ = 0, size_ = 1;
};

/// Throws MpiError unless `result` is MPI_SUCCESS.
void check_mpi(int result, const char* call);

}  // namespace meshfold::dist
