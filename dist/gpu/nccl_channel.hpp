#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "dist/gpu/gpu_libraries.hpp"
#include "dist/gpu/gpu_runtime.hpp"
#include "dist/gpu/nccl_library.hpp"

namespace meshfold::dist {

class Communicator;

/// One NCCL communicator of this rank and the stream that its operations go to. Every wait inside polls the
/// communicator and ends with the deadline of the MPI communicator of the same group.
class NcclChannel {
 public:
  /// Collective over the `size` ranks that hold `unique_id`; returns once NCCL has connected them. `group` is for
  /// messages. Throws PeerLost if a peer does not come before the deadline, and NcclError.
  NcclChannel(GpuLibraries gpu, std::shared_ptr<Communicator> communicator, std::string group,
              const std::string& unique_id, int rank, int size);
  /// Ends in order with its peers, for at most 10 s; or aborts, if an exception is under way.
  ~NcclChannel();
  NcclChannel(const NcclChannel&) = delete;
  NcclChannel& operator=(const NcclChannel&) = delete;

  struct Message {
    enum class Way { kSend, kReceive };
    Way way;
    void* bytes;
    std::size_t size;  ///< a message of none is left out, on both sides
    int peer;
  };

  GpuStream* stream() const { return stream_.get(); }
  /// Puts the messages on the stream, as one group, and returns once NCCL has taken them; they run later.
  void exchange(const std::vector<Message>& messages, const std::string& operation);
  /// Throws PeerLost or NcclError if NCCL has found an error by now; `operation` is what it is told to have failed in.
  void check(const std::string& operation);
  /// Ends what runs on the device, at once and alone. No further call but the destructor may follow.
  void abort() noexcept;

 private:
  bool is_ready(const std::string& operation);
  void wait_until_ready(const std::string& operation);
  bool close_in_order() noexcept;

  GpuLibraries gpu_;
  std::shared_ptr<Communicator> communicator_;
  std::string group_;
  OwnedGpuStream stream_;
  NcclHandle* handle_ = nullptr;
};

}  // namespace meshfold::dist
