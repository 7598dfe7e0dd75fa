#include <sys/statvfs.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>

#include "base/text.hpp"
#include "jobs/selftest/checks.hpp"
#include "jobs/selftest/rank_outcomes.hpp"

namespace meshfold::jobs::selftest {
namespace {

using nlohmann::json;

constexpr double kMiB = 1024.0 * 1024;
constexpr double kLeastFreeBytes = 32 * kMiB;  // a rank: Open MPI's vader takes 4 MiB, UCX up to 16

/// Names of mapped files by which MPI's transports through shared memory are known: Open MPI 4 (vader), 5 (sm), UCX.
constexpr const char* kSegments[] = {"vader_segment", "sm_segment", "ucx_shm", "SYSV"};

/// The one that this process has mapped; empty if there is none.
std::string mapped_segment() {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    for (const char* segment : kSegments) {
      if (line.find(segment) != std::string::npos) return segment;
    }
  }
  return {};
}

json look() {
  struct statvfs room {};
  const bool is_there = statvfs("/dev/shm", &room) == 0;
  const double unit = is_there ? static_cast<double>(room.f_frsize) : 0;
  return {{"there", is_there},
          {"free", unit * static_cast<double>(room.f_bavail)},
          {"size", unit * static_cast<double>(room.f_blocks)},
          {"segment", mapped_segment()}};
}

std::string mebibytes(double bytes) { return base::format("%.0f MiB", bytes / kMiB); }

}  // namespace

Finding check_shared_memory(const Context& context) {
  const auto outcomes = gather_outcomes(context.world, look);
  if (const auto failed = fault_of(context, outcomes, "look at /dev/shm", "mount a tmpfs there")) return *failed;
  std::map<std::string, int> ranks_of_host;
  for (const auto& rank : context.placement.ranks) ++ranks_of_host[rank.host];

  Finding finding = ok("");
  double least_free = -1;
  std::set<std::string> segments;
  for (int rank = 0; rank < context.size(); ++rank) {
    const json& value = outcomes[static_cast<std::size_t>(rank)].value;
    const std::string& host = context.host_of(rank);
    const double free = value["free"];
    if (!value["there"].get<bool>()) {
      finding = combined(finding, warning("there is no /dev/shm on " + host, "mount a tmpfs there"));
    } else if (free < kLeastFreeBytes * ranks_of_host[host]) {
      finding = combined(
          finding, warning("/dev/shm of " + host + " has " + mebibytes(free) + " free of " + mebibytes(value["size"]) +
                               " for " + std::to_string(ranks_of_host[host]) + " ranks, which MPI may run out of",
                           "make it larger (docker --shm-size=1g) or remove what lies there"));
    }
    if (least_free < 0 || free < least_free) least_free = free;
    const auto segment = value["segment"].get<std::string>();
    if (ranks_of_host[host] > 1 && segment.empty()) {
      finding = combined(finding, warning("the ranks on " + host + " exchange without shared memory",
                                          "leave btl and pml of Open MPI at their defaults (OMPI_MCA_btl, mpirun "
                                          "--mca btl)"));
    }
    if (!segment.empty()) segments.insert(segment);
  }
  if (finding.verdict == Verdict::kOk) {
    finding.found = "/dev/shm has " + mebibytes(least_free) + " free";
    for (const auto& segment : segments) finding.found += "; ranks of a machine exchange through " + segment + "s";
  }
  finding.figures = {{"free in /dev/shm, bytes", least_free}};
  return finding;
}

}  // namespace meshfold::jobs::selftest
