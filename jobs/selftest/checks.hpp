#pragma once

#include <string>
#include <vector>

#include "jobs/selftest/context.hpp"
#include "jobs/selftest/finding.hpp"

/// The checks, each in a file of its own. All are collective over context.world and give every rank the same finding.
namespace meshfold::jobs::selftest {

/// Machines of the ranks, and that all run the same program on the same libraries and kernels.
Finding check_ranks(const Context& context);
/// Cores and threads of each rank; ranks that take turns on cores.
Finding check_placement(const Context& context);
/// That a rank's threads run at the same time while all ranks compute.
Finding check_threads(const Context& context);
/// Memory for each rank: the machine's, the control group's limit, ulimit -v.
Finding check_memory(const Context& context);
/// ulimit -n.
Finding check_open_files(const Context& context);
/// Room in /dev/shm, and that MPI exchanges through shared memory within a machine.
Finding check_shared_memory(const Context& context);
/// That sums over each axis of the mesh have the right bits, the same ones on every rank.
Finding check_sums(const Context& context);
/// Time and speed of sums over each axis, and of messages between neighbouring stages.
Finding check_bandwidth(const Context& context);
/// That context.directory is one directory which every rank can write to.
Finding check_directory(const Context& context);
/// That a file that one rank syncs and renames is seen whole by all others, and how soon.
Finding check_durable_files(const Context& context);
/// That a lock that one rank holds keeps the others out, and is given back.
Finding check_file_locks(const Context& context);
/// That a dataset which all ranks write together through parallel HDF5 is what each of them reads.
Finding check_hdf5(const Context& context);
/// That the machines' clocks agree, and that no one sets them meanwhile.
Finding check_clock(const Context& context);

struct Check {
  const char* name;
  Finding (*run)(const Context&);
  bool writes;  ///< to context.directory: has no meaning where that cannot be written to
};

/// All of them, in the order in which they run.
const std::vector<Check>& all_checks();

}  // namespace meshfold::jobs::selftest
