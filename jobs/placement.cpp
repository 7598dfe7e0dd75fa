#include "jobs/placement.hpp"

#include <ATen/Parallel.h>

#include "dist/mpi_process_group.hpp"

namespace meshfold::jobs {

Placement find_placement(int threads, dist::ProcessGroup& world, const std::string& host) {
  Placement placement{dist::gather_cores(world, host), {}};
  for (int rank = 0; rank < world.size(); ++rank) {
    placement.threads.push_back(threads > 0 ? threads : dist::threads_per_rank(placement.ranks, rank));
  }
  return placement;
}

Placement set_threads(int threads, RunEnvironment& environment) {
  const auto world = dist::make_mpi_process_group(environment.mpi.world(), "world");
  Placement placement = find_placement(threads, *world, environment.mpi.host_name());
  at::set_num_threads(placement.threads[static_cast<std::size_t>(world->rank())]);
  for (const auto& sentence : dist::oversubscribed(placement.ranks)) environment.console.warn(sentence);
  return placement;
}

}  // namespace meshfold::jobs
