#pragma once

#include <span>
#include <string>
#include <vector>

namespace meshfold::dist {

class ProcessGroup;

/// Where a rank may run: its machine, and the ids of the cores (logical CPUs) in its affinity mask, rising.
struct RankCores {
  std::string host;
  std::vector<int> cores;
};

/// Cores that this thread may run on: its affinity mask, as mpirun, Slurm or taskset left it. The mask is honoured and
/// never widened.
std::vector<int> usable_cores();

/// usable_cores() of every rank; result[r] is rank r's. Collective.
std::vector<RankCores> gather_cores(ProcessGroup& group, const std::string& host);

/// Ranks (`rank` among them) of rank `rank`'s machine whose masks have a core in common with its own.
int ranks_that_share(std::span<const RankCores> ranks, int rank);

/// Threads for `rank`: the cores of its mask over the ranks that share any of them, rounded down; at least one. So 4
/// unbound ranks of 16 cores have 4 each, and so have 4 ranks that are bound to 4 cores each. Where masks overlap in
/// part, a neighbour counts in full: cores may idle but are not used twice over.
int threads_per_rank(std::span<const RankCores> ranks, int rank);

/// Ids as ranges: "0-3, 8".
std::string ranges_of(std::span<const int> ids);

/// The placement in words, a clause a distinct kind of placement, ranks that are placed alike folded into one:
/// "ranks 0-3 on nodeA, 4-7 on nodeB: cores 0-15 shared by 4, 4 threads each". `threads[r]` are rank r's.
std::string describe_placement(std::span<const RankCores> ranks, std::span<const int> threads);

/// A sentence for each machine on which ranks outnumber the cores they are confined to, all of the machine's or a few
/// that they were bound to.
std::vector<std::string> oversubscribed(std::span<const RankCores> ranks);

}  // namespace meshfold::dist
