#pragma once

#include <mpi.h>

#include <cstddef>
#include <vector>

namespace meshfold::dist {

class Communicator;

/// Nonblocking point-to-point messages that are under way together. The buffers must stay where they are until test()
/// has returned true; a set that is destroyed earlier leaves its messages to MPI.
class Transfers {
 public:
  explicit Transfers(const Communicator& communicator);

  /// Any number of bytes, cut into messages of at most 64 MiB; none at all sends nothing (and the peer expects
  /// nothing).
  void send(const void* bytes, std::size_t size, int peer, int tag);
  void receive(void* bytes, std::size_t size, int peer, int tag);
  void broadcast(void* bytes, std::size_t size, int root);
  void barrier();

  /// Lets MPI work; true once every message has arrived or left. Throws MpiError.
  bool test();
  /// How many were completed so far.
  std::size_t num_done() const { return num_done_; }

 private:
  MPI_Comm handle_;
  std::vector<MPI_Request> requests_;
  std::vector<int> done_indices_;
  std::size_t num_done_ = 0;
};

}  // namespace meshfold::dist
