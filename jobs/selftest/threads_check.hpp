#pragma once

#include <optional>
#include <span>

#include "jobs/selftest/context.hpp"
#include "jobs/selftest/finding.hpp"

namespace meshfold::jobs::selftest {

/// One rank: the work of its threads while all ranks computed, in units of what one thread does while the machine's
/// other ranks wait; how many threads LibTorch really used; and how many CPUs its control group gives.
struct ThreadSpeed {
  double speed_up = 1;
  int threads_used = 1;
  std::optional<double> cgroup_cpus;
};

/// Names the ranks whose threads do not run in parallel, and why that is likely so.
Finding judge_threads(const Placement& placement, std::span<const ThreadSpeed> speeds);

}  // namespace meshfold::jobs::selftest
