#include "jobs/selftest/cgroup_limits.hpp"

#include <algorithm>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>

namespace meshfold::jobs::selftest {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kNoMemoryLimit = std::uint64_t{1} << 60;  // version 1 writes "none" as nearly 2^63

/// The file's words; none if it cannot be read.
std::istringstream words_of(const fs::path& file) {
  std::ifstream in(file);
  std::ostringstream text;
  if (in) text << in.rdbuf();
  return std::istringstream(text.str());
}

template <typename Value>
void lower(std::optional<Value>& limit, Value value) {
  limit = limit ? std::min(*limit, value) : value;
}

void read_quota(std::istringstream quota, std::istringstream period, CgroupLimits& limits) {
  double allowed = 0, of = 0;
  if (quota >> allowed && period >> of && allowed > 0 && of > 0) lower(limits.cpus, allowed / of);
}

void read_group(const fs::path& group, CgroupLimits& limits) {
  std::istringstream both = words_of(group / "cpu.max");
  std::string quota, period;
  if (both >> quota >> period) read_quota(std::istringstream(quota), std::istringstream(period), limits);
  read_quota(words_of(group / "cpu.cfs_quota_us"), words_of(group / "cpu.cfs_period_us"), limits);
  for (const char* file : {"memory.max", "memory.limit_in_bytes"}) {
    std::uint64_t bytes = 0;
    if (words_of(group / file) >> bytes && bytes < kNoMemoryLimit) lower(limits.memory_bytes, bytes);
  }
}

}  // namespace

CgroupLimits read_cgroup_limits(const fs::path& root, const fs::path& membership) {
  CgroupLimits limits;
  std::ifstream lines(membership);
  for (std::string line; std::getline(lines, line);) {  // "4:memory:/a/b" or, version 2, "0::/a/b"
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    fs::path group = fs::path(line.substr(second + 1)).relative_path();
    const fs::path base = controllers.empty() ? root : root / controllers;
    while (!group.empty()) {
      read_group(base / group, limits);
      group = group.parent_path();
    }
    read_group(base, limits);
  }
  return limits;
}

}  // namespace meshfold::jobs::selftest
