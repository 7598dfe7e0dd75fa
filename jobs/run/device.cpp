#include "jobs/run/device.hpp"

#include <algorithm>

#include "dist/gpu/gpu_placement.hpp"
#include "jobs/error.hpp"

namespace meshfold::jobs {

std::unique_ptr<dist::GroupMaker> choose_device(DeviceChoice choice, const dist::GpuLibraries* gpu,
                                                dist::ProcessGroup& world, const dist::Environment& mpi) {
  if (choice == DeviceChoice::kCpu) return nullptr;
  if (gpu == nullptr) {
    if (choice == DeviceChoice::kAuto) return nullptr;
    throw ConfigError(
        "run.device = cuda, but this meshfold was built without CUDA and knows cpu only; build it with the preset "
        "cuda, or set run.device = cpu");
  }
  const auto ranks = dist::choose_gpus(world, gpu->runtime, mpi.host_name(), mpi.local_rank());
  const bool has_any = std::ranges::any_of(ranks, [](const dist::RankGpu& rank) { return rank.num_visible > 0; });
  if (choice == DeviceChoice::kAuto && !has_any) return nullptr;
  const std::string fault = dist::fault_of(ranks);
  if (!fault.empty()) {
    throw ConfigError("run.device = " + std::string(choice == DeviceChoice::kAuto ? "auto" : "cuda") + ": " + fault);
  }
  return dist::make_gpu_groups(*gpu, ranks, world.rank());
}

}  // namespace meshfold::jobs
