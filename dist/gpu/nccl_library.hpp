#pragma once

#include <cstddef>
#include <string>

namespace meshfold::dist {

struct GpuStream;
struct NcclHandle;  ///< an opaque handle: this process's end of a communicator

enum class NcclStatus {
  kReady,
  kInProgress,  ///< a call that did not block is still under way
  kPeerGone,    ///< NCCL found a process or a link to it missing
  kFailed,
};

struct NcclState {
  NcclStatus status = NcclStatus::kReady;
  std::string words;  ///< the library's own, where it failed
};

/// The calls of NCCL that this library makes, and no others, so that tests can fake them. All communicators are
/// nonblocking: init(), group_end() and finalize() may leave a communicator kInProgress, and until state() says kReady
/// nothing else may be asked of it. Every method throws NcclError with the call's name and the library's words.
class NcclLibrary {
 public:
  virtual ~NcclLibrary() = default;

  /// Names a communicator that is to be made; one rank makes it, and init() takes it on all of them.
  virtual std::string unique_id() = 0;
  virtual NcclHandle* init(const std::string& unique_id, int size, int rank) = 0;
  /// Also where errors show that came after the call that they belong to.
  virtual NcclState state(NcclHandle* communicator) = 0;

  /// Between the two only send() and receive(): they run together, in no order among different peers and in the given
  /// order with one peer.
  virtual void group_start() = 0;
  virtual void group_end() = 0;
  virtual void send(NcclHandle* communicator, const void* bytes, std::size_t size, int peer, GpuStream* stream) = 0;
  virtual void receive(NcclHandle* communicator, void* bytes, std::size_t size, int peer, GpuStream* stream) = 0;

  /// The orderly end: finalize() on all ranks, then, once ready, destroy(). Or abort(), which also ends operations that
  /// run on the device and asks no peer.
  virtual void finalize(NcclHandle* communicator) = 0;
  virtual void destroy(NcclHandle* communicator) noexcept = 0;
  virtual void abort(NcclHandle* communicator) noexcept = 0;
};

}  // namespace meshfold::dist
