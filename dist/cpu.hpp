#pragma once

namespace meshfold::dist {

/// Cores that this process may run on: its affinity mask, as mpirun, Slurm or taskset left it. The mask is honoured and
/// never widened.
int usable_cores();

/// Cores shared out evenly over the `local_ranks` processes of a machine that may run on the same `usable` cores; at
/// least one. threads_per_rank(16, 6) = 2. Ranks that are each bound to cores of their own pass local_ranks = 1.
int threads_per_rank(int usable, int local_ranks);

}  // namespace meshfold::dist
