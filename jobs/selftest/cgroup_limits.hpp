#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace meshfold::jobs::selftest {

/// What the control groups of this process allow it and its neighbours in them; nullopt: no limit.
struct CgroupLimits {
  std::optional<double> cpus;
  std::optional<std::uint64_t> memory_bytes;
};

/// The smallest limits from the process's own groups up to the root, of version 2 (cpu.max, memory.max) and of version
/// 1 (cpu.cfs_quota_us, memory.limit_in_bytes). In a container the groups' paths may be those of its host, of which
/// only some parents are to be seen. Files: Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst of Linux.
CgroupLimits read_cgroup_limits(const std::filesystem::path& root = "/sys/fs/cgroup",
                                const std::filesystem::path& membership = "/proc/self/cgroup");

}  // namespace meshfold::jobs::selftest
