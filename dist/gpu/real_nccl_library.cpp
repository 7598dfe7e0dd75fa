#include "dist/gpu/real_nccl_library.hpp"

#include <nccl.h>

#include <cstring>

#include "dist/error.hpp"

namespace meshfold::dist {
namespace {

ncclComm_t to_nccl(NcclHandle* communicator) { return reinterpret_cast<ncclComm_t>(communicator); }
cudaStream_t to_cuda(GpuStream* stream) { return reinterpret_cast<cudaStream_t>(stream); }

std::string words_of(ncclResult_t result, ncclComm_t communicator) {
  std::string words = ncclGetErrorString(result);
  const char* last = ncclGetLastError(communicator);
  if (last != nullptr && last[0] != '\0') words += std::string(" (") + last + ")";
  return words;
}

/// A call that goes on in the background is no error; state() tells how it ends.
void check(ncclResult_t result, const char* call, ncclComm_t communicator = nullptr) {
  if (result == ncclSuccess || result == ncclInProgress) return;
  throw NcclError(std::string(call) + " failed: " + words_of(result, communicator));
}

class RealNcclLibrary final : public NcclLibrary {
 public:
  std::string unique_id() override {
    ncclUniqueId id;
    check(ncclGetUniqueId(&id), "ncclGetUniqueId");
    return {id.internal, sizeof id.internal};
  }

  NcclHandle* init(const std::string& unique_id, int size, int rank) override {
    ncclUniqueId id;
    if (unique_id.size() != sizeof id.internal) throw NcclError("an NCCL id of another size: mixed versions of NCCL");
    std::memcpy(id.internal, unique_id.data(), sizeof id.internal);
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    ncclComm_t communicator = nullptr;
    check(ncclCommInitRankConfig(&communicator, size, id, rank, &config), "ncclCommInitRankConfig");
    return reinterpret_cast<NcclHandle*>(communicator);
  }

  NcclState state(NcclHandle* communicator) override {
    ncclResult_t late = ncclSuccess;
    check(ncclCommGetAsyncError(to_nccl(communicator), &late), "ncclCommGetAsyncError", to_nccl(communicator));
    switch (late) {
      case ncclSuccess:
        return {};
      case ncclInProgress:
        return {NcclStatus::kInProgress, ""};
      case ncclRemoteError:
        return {NcclStatus::kPeerGone, words_of(late, to_nccl(communicator))};
      default:
        return {NcclStatus::kFailed, words_of(late, to_nccl(communicator))};
    }
  }

  void group_start() override { check(ncclGroupStart(), "ncclGroupStart"); }
  void group_end() override { check(ncclGroupEnd(), "ncclGroupEnd"); }
  void send(NcclHandle* communicator, const void* bytes, std::size_t size, int peer, GpuStream* stream) override {
    check(ncclSend(bytes, size, ncclUint8, peer, to_nccl(communicator), to_cuda(stream)), "ncclSend",
          to_nccl(communicator));
  }
  void receive(NcclHandle* communicator, void* bytes, std::size_t size, int peer, GpuStream* stream) override {
    check(ncclRecv(bytes, size, ncclUint8, peer, to_nccl(communicator), to_cuda(stream)), "ncclRecv",
          to_nccl(communicator));
  }

  void finalize(NcclHandle* communicator) override {
    check(ncclCommFinalize(to_nccl(communicator)), "ncclCommFinalize", to_nccl(communicator));
  }
  void destroy(NcclHandle* communicator) noexcept override { ncclCommDestroy(to_nccl(communicator)); }
  void abort(NcclHandle* communicator) noexcept override { ncclCommAbort(to_nccl(communicator)); }
};

}  // namespace

std::unique_ptr<NcclLibrary> make_real_nccl_library() { return std::make_unique<RealNcclLibrary>(); }

}  // namespace meshfold::dist
