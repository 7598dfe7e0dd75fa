#pragma once

#include <memory>

#include "dist/environment.hpp"
#include "dist/gpu/gpu_libraries.hpp"
#include "dist/group_maker.hpp"
#include "jobs/config/run_config.hpp"

namespace meshfold::jobs {

/// Where the ranks of a run compute, all of them alike: kAuto takes GPUs if any rank sees one. `gpu` is null in a
/// program that was built without CUDA. ConfigError if GPUs are wanted and not every rank has one of its own; that is
/// found before NCCL is asked for anything. Collective over `world`; null: on the CPU.
std::unique_ptr<dist::GroupMaker> choose_device(DeviceChoice choice, const dist::GpuLibraries* gpu,
                                                dist::ProcessGroup& world, const dist::Environment& mpi);

}  // namespace meshfold::jobs
