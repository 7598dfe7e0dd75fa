#pragma once

#include <cstdint>
#include <span>

#include "jobs/selftest/context.hpp"
#include "jobs/selftest/finding.hpp"

namespace meshfold::jobs::selftest {

/// What one rank reads of its machine; 0: no limit.
struct MemoryRoom {
  std::uint64_t machine_bytes = 0, cgroup_bytes = 0, process_bytes = 0;
};

/// `rooms[r]` is rank r's. A warning where a rank's share is below 1 GiB.
Finding judge_memory(const Placement& placement, std::span<const MemoryRoom> rooms);

}  // namespace meshfold::jobs::selftest
