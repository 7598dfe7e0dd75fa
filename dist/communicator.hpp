#pragma once

#include <mpi.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <source_location>
#include <span>
#include <string>

namespace meshfold::dist {

/// Owns one MPI communicator (errors are returned, not fatal); shared by pointer. Freed by its members when the last
/// owner goes, or leaked on purpose when an exception is under way (freeing is collective) or MPI is already finalized.
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
  /// Cannot be polled: put it under a Watchdog phase. Throws invalid_argument if the caller is not among `ranks`.
  std::shared_ptr<Communicator> create_group(std::span<const int> ranks, int tag, std::string name) const;

  /// A number for the next collective operation on this communicator. Members start their operations in the same order,
  /// so the same number means the same operation on each of them; it separates the messages of operations that overlap.
  std::uint32_t next_operation() { return next_operation_++; }

 private:
  MPI_Comm handle_;
  Ownership ownership_;
  std::string name_;
  std::chrono::milliseconds deadline_;
  int rank_ = 0, size_ = 1;
  std::uint32_t next_operation_ = 0;
};

/// Throws MpiError unless `result` is MPI_SUCCESS. The message has the call, the library's words, this process's rank
/// in the world and the place of the call.
void check_mpi(int result, const char* call, std::source_location where = std::source_location::current());

}  // namespace meshfold::dist
