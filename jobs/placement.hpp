#pragma once

#include <string>
#include <vector>

#include "dist/cpu.hpp"
#include "jobs/run_environment.hpp"

namespace meshfold::jobs {

/// The cores that each rank of the world may run on and the threads it computes with, by rank.
struct Placement {
  std::vector<dist::RankCores> ranks;
  std::vector<int> threads;
};

/// Where the ranks of `world` are: their cores, and `threads` each (run.threads) or, if that is 0, the cores they may
/// use over the ranks that share them. Collective.
Placement find_placement(int threads, dist::ProcessGroup& world, const std::string& host);

/// Sets LibTorch's threads of this rank as find_placement() says. Warns if there are more ranks than cores. Collective
/// over the world.
Placement set_threads(int threads, RunEnvironment& environment);

}  // namespace meshfold::jobs
