#pragma once

#include <c10/core/Device.h>

#include <cstddef>
#include <memory>
#include <string>

#include "dist/gpu/gpu_libraries.hpp"
#include "dist/process_group.hpp"

namespace meshfold::dist {

class Communicator;

/// Which ranks of a group may send() to each other: none, or neighbours on its ring (the last and the first too). Each
/// direction between two of them has a channel of its own, so that no message waits behind one that goes the other way.
enum class RingLinks { kNone, kNeighbours };

struct NcclGroupOptions {
  RingLinks links = RingLinks::kNone;
  std::size_t scratch_bytes = std::size_t{64} << 20;  ///< on the device, at most, while a sum is under way
};

/// Tensors on `device` travel over NCCL; tensors in host memory, and bytes, over MPI.
/// Collective over `communicator`: rank 0 makes the id of the NCCL communicator and MPI carries it. `device` is this
/// rank's own, and no other rank's (gpu_placement.hpp); it must be the current one. Throws PeerLost and NcclError.
///
/// Sums have the bits of MpiProcessGroup: slices are exchanged by grouped sends, added in the order of
/// reduction_tree.hpp by tensor operations, and gathered. NCCL's own reductions add in an order that depends on the
/// number of ranks and on the topology that it finds.
///
/// An operation starts when the compute stream has made what was put there before, and runs on a stream of the group.
/// wait() holds the host, so whatever is put on any stream afterwards sees the result; meanwhile it looks for errors
/// that NCCL reports late. On an error, or once the deadline has passed (its clock starts with wait() and does not
/// start anew), the group's NCCL communicators are aborted, and every later call throws the first cause again at once.
///
/// Between two ranks messages are taken in the order in which they are sent; NCCL has no tags, so these are not
/// compared.
std::unique_ptr<ProcessGroup> make_nccl_process_group(GpuLibraries gpu, c10::Device device,
                                                      std::shared_ptr<Communicator> communicator, std::string name,
                                                      const NcclGroupOptions& options = {});

}  // namespace meshfold::dist
