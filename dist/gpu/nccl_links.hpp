#pragma once

#include <exception>
#include <map>
#include <memory>
#include <string>

#include "dist/gpu/gpu_libraries.hpp"
#include "dist/gpu/nccl_channel.hpp"
#include "dist/gpu/nccl_process_group.hpp"

namespace meshfold::dist {

/// All NCCL channels of this rank in one group; they live and fail together. Shared by the group and its operations.
class NcclLinks {
 public:
  /// Collective over `host`, which carries the ids; `communicator` is the one under it. Channels are made one after the
  /// other in an order that all ranks share.
  NcclLinks(GpuLibraries gpu, std::shared_ptr<Communicator> communicator, ProcessGroup& host, RingLinks links);

  /// The channel of all ranks.
  NcclChannel& all() { return *all_; }
  /// One way between this rank and a neighbour; invalid_argument if there is none.
  NcclChannel& to(int peer) { return find(to_, peer, "send"); }
  NcclChannel& from(int peer) { return find(from_, peer, "receive"); }

  /// Runs `work`. If it throws, all channels are aborted and the exception goes on; from then on this only throws the
  /// same one again.
  template <typename Work>
  void guard(Work work) {
    if (failure_) std::rethrow_exception(failure_);
    try {
      work();
    } catch (...) {
      fail(std::current_exception());
      throw;
    }
  }
  bool has_failed() const { return failure_ != nullptr; }

  const Communicator& communicator() const { return *communicator_; }
  const std::string& group() const { return group_; }

 private:
  using Channels = std::map<int, std::unique_ptr<NcclChannel>>;

  void link_neighbours(ProcessGroup& host);
  std::unique_ptr<NcclChannel> make_channel(const std::string& name, const std::string& unique_id, int rank, int size);
  NcclChannel& find(Channels& channels, int peer, const char* operation);
  void fail(std::exception_ptr cause) noexcept;

  GpuLibraries gpu_;
  std::shared_ptr<Communicator> communicator_;
  std::string group_;
  std::unique_ptr<NcclChannel> all_;
  Channels to_, from_;
  std::exception_ptr failure_;
};

}  // namespace meshfold::dist
