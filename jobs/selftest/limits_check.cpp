#include "jobs/selftest/limits_check.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "base/text.hpp"
#include "jobs/selftest/cgroup_limits.hpp"
#include "jobs/selftest/checks.hpp"
#include "jobs/selftest/rank_outcomes.hpp"

namespace meshfold::jobs::selftest {
namespace {

using nlohmann::json;

constexpr double kGiB = 1024.0 * 1024 * 1024;
constexpr double kLeastBytes = kGiB;  // a small model with its optimizer and activations

std::string gibibytes(double bytes) { return base::format("%.1f GiB", bytes / kGiB); }

/// The soft limit; 0 if there is none.
std::uint64_t limit_of(int resource) {
  rlimit limit{};
  if (getrlimit(static_cast<__rlimit_resource_t>(resource), &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return 0;
  return limit.rlim_cur;
}

std::uint64_t machine_bytes() {
  return static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

Finding judge_memory(const Placement& placement, std::span<const MemoryRoom> rooms) {
  std::map<std::string, int> ranks_of_host;
  for (const auto& rank : placement.ranks) ++ranks_of_host[rank.host];
  double least = 0;
  std::size_t poorest = rooms.size();
  std::string limit;
  for (std::size_t rank = 0; rank < rooms.size(); ++rank) {
    const MemoryRoom& room = rooms[rank];
    const int sharers = ranks_of_host[placement.ranks[rank].host];
    double share = static_cast<double>(room.machine_bytes) / sharers;
    std::string of = "of the machine's " + gibibytes(static_cast<double>(room.machine_bytes));
    const auto tighten = [&](std::uint64_t bytes, int ranks, const std::string& words) {
      if (bytes == 0 || static_cast<double>(bytes) / ranks >= share) return;
      share = static_cast<double>(bytes) / ranks;
      of = words + gibibytes(static_cast<double>(bytes));
    };
    tighten(room.cgroup_bytes, sharers, "of the control group's limit of ");
    tighten(room.process_bytes, 1, "which is the limit of address space (ulimit -v), ");
    if (poorest == rooms.size() || share < least) {
      least = share;
      poorest = rank;
      limit = of;
    }
  }
  const std::string found =
      "at least " + gibibytes(least) + " a rank, " + limit + " on " + placement.ranks[poorest].host;
  Finding finding = least >= kLeastBytes
                        ? ok(found)
                        : warning(found + ", which a model with its optimizer hardly fits",
                                  "start fewer ranks on a machine, or ask for more memory (Slurm --mem, docker "
                                  "--memory, ulimit -v)");
  finding.figures = {{"memory a rank, bytes", least}};
  return finding;
}

Finding check_memory(const Context& context) {
  const auto outcomes = gather_outcomes(context.world, [] {
    return json{{"machine", machine_bytes()},
                {"cgroup", read_cgroup_limits().memory_bytes.value_or(0)},
                {"process", limit_of(RLIMIT_AS)}};
  });
  if (const auto failed = fault_of(context, outcomes, "read its limits", "")) return *failed;
  std::vector<MemoryRoom> rooms;
  for (const auto& outcome : outcomes) {
    const json& value = outcome.value;
    rooms.push_back({value["machine"].get<std::uint64_t>(), value["cgroup"].get<std::uint64_t>(),
                     value["process"].get<std::uint64_t>()});
  }
  return judge_memory(context.placement, rooms);
}

Finding check_open_files(const Context& context) {
  const auto outcomes = gather_outcomes(context.world, [] { return json(limit_of(RLIMIT_NOFILE)); });
  if (const auto failed = fault_of(context, outcomes, "read its limits", "")) return *failed;
  // A connection to every rank in the worst case, and the files of a run, of the libraries and of mpirun.
  const auto needed = static_cast<std::uint64_t>(256 + 2 * context.size());
  std::uint64_t least = 0;
  int poorest = -1;
  for (int rank = 0; rank < context.size(); ++rank) {
    const auto limit = outcomes[static_cast<std::size_t>(rank)].value.get<std::uint64_t>();
    if (limit > 0 && (poorest < 0 || limit < least)) least = limit, poorest = rank;
  }
  if (poorest < 0) return ok("no limit");
  const std::string found = "at least " + std::to_string(least) + " a rank";
  Finding finding =
      least >= needed
          ? ok(found)
          : warning(name_of_rank(context, poorest) + " may have " + std::to_string(least) + " files open, and " +
                        std::to_string(context.size()) + " ranks may need " + std::to_string(needed),
                    "raise the limit before mpirun: ulimit -n 4096 (LimitNOFILE of slurmd's service)");
  finding.figures = {{"open files", static_cast<double>(least)}};
  return finding;
}

}  // namespace meshfold::jobs::selftest
