#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dist/gpu/gpu_libraries.hpp"
#include "dist/group_maker.hpp"

namespace meshfold::dist {

class Environment;
class GpuRuntime;

/// The GPU that one rank takes.
struct RankGpu {
  std::string host;
  int num_visible = 0;  ///< devices that its process may use; 0: it takes none
  int device = 0;       ///< among the visible ones
  std::string pci_id, name;
};

/// The choice of one rank by itself: its place among the ranks of its machine, counted round the devices that it sees.
/// So 4 ranks that see 4 devices take one each, and so do 4 that are shown one each (Slurm's --gpus-per-task).
RankGpu choose_gpu(GpuRuntime& runtime, const std::string& host, int local_rank);

/// choose_gpu() of every rank; result[r] is rank r's. Collective: what fails on one rank fails on all.
std::vector<RankGpu> choose_gpus(ProcessGroup& world, GpuRuntime& runtime, const std::string& host, int local_rank);

/// What is wrong with the choices, in one line that says what to do: a rank without a GPU, or two ranks with one. NCCL
/// itself would stop with an internal error or hang. Empty: each rank has a GPU of its own.
std::string fault_of(std::span<const RankGpu> ranks);

/// Groups over NCCL on this rank's choice of `ranks`, which has no fault. Makes the device the current one.
std::unique_ptr<GroupMaker> make_gpu_groups(GpuLibraries gpu, std::span<const RankGpu> ranks, int rank);

}  // namespace meshfold::dist
