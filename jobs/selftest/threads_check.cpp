#include "jobs/selftest/threads_check.hpp"

#include <ATen/Parallel.h>

#include <algorithm>
#include <map>
#include <set>
#include <thread>

#include "base/text.hpp"
#include "dist/cpu.hpp"
#include "jobs/selftest/cgroup_limits.hpp"
#include "jobs/selftest/checks.hpp"
#include "jobs/selftest/rank_outcomes.hpp"

namespace meshfold::jobs::selftest {
namespace {

using nlohmann::json;

constexpr int kIterations = 4'000'000;  // about 5 ms
constexpr int kAloneTimes = 4;
constexpr double kTogetherSeconds = 0.4;  // several periods of a CPU quota, which are 0.1 s
constexpr double kLeastShare = 0.7;       // of the threads' number; hyper-threads of one core reach 0.6

std::string number(double value) { return base::format("%.1f", value); }

/// Products in registers: nothing but the core itself can slow them down.
double compute() {
  double sums[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  for (int i = 0; i < kIterations; ++i) {
    for (double& sum : sums) sum = sum * 0.999999 + 1e-6;
  }
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

double seconds_alone() {
  double best = 1e9;
  for (int i = 0; i < kAloneTimes; ++i) {
    const double start = steady_seconds();
    [[maybe_unused]] volatile const double kept = compute();
    best = std::min(best, steady_seconds() - start);
  }
  return best;
}

/// Every thread computes `rounds` times; the seconds that took, and how many threads there were.
std::pair<double, int> seconds_together(int threads, int rounds) {
  std::vector<std::thread::id> ids(static_cast<std::size_t>(threads));
  const double start = steady_seconds();
  for (int round = 0; round < rounds; ++round) {
    at::parallel_for(0, threads, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        [[maybe_unused]] volatile const double kept = compute();
        ids[static_cast<std::size_t>(i)] = std::this_thread::get_id();
      }
    });
  }
  const double seconds = steady_seconds() - start;
  return {seconds, static_cast<int>(std::set<std::thread::id>(ids.begin(), ids.end()).size())};
}

/// The ranks of a machine compute alone in turn, those of different machines at once.
double measure_in_turn(const Context& context) {
  std::map<std::string, int> seen;
  std::vector<int> turns;
  for (const auto& rank : context.placement.ranks) turns.push_back(seen[rank.host]++);
  double own = 0;
  for (int turn = 0; turn <= *std::ranges::max_element(turns); ++turn) {
    context.world.barrier();
    if (turns[static_cast<std::size_t>(context.rank())] == turn) own = seconds_alone();
  }
  return own;
}

/// Why the threads of `rank` may be slow, and what to do.
std::pair<std::string, std::string> cause_of(const Placement& placement, std::span<const ThreadSpeed> speeds,
                                             int rank) {
  const auto at = static_cast<std::size_t>(rank);
  const auto& own = placement.ranks[at];
  const int threads = placement.threads[at], num_cores = static_cast<int>(own.cores.size());
  if (speeds[at].threads_used < threads) {
    return {"LibTorch used " + std::to_string(speeds[at].threads_used) + " of them",
            "look for OMP_THREAD_LIMIT or OMP_DYNAMIC in the environment"};
  }
  if (threads > num_cores) {
    return {"the rank may run on " + std::to_string(num_cores) + (num_cores == 1 ? " core" : " cores") + " only (" +
                dist::ranges_of(own.cores) + ")",
            "set run.threads to " + std::to_string(num_cores) +
                " or less, or bind the rank to more cores (mpirun "
                "--map-by slot:PE=" +
                std::to_string(threads) +
                " --bind-to core, or --bind-to none; taskset and Slurm's "
                "--cpus-per-task count too)"};
  }
  int threads_of_sharers = 0, threads_of_host = 0;
  for (std::size_t other = 0; other < placement.ranks.size(); ++other) {
    if (placement.ranks[other].host != own.host) continue;
    threads_of_host += placement.threads[other];
    if (placement.ranks[other].cores == own.cores) threads_of_sharers += placement.threads[other];
  }
  if (threads_of_sharers > num_cores) {
    return {"ranks share cores " + dist::ranges_of(own.cores) + ", on which " + std::to_string(threads_of_sharers) +
                " threads take turns",
            "start fewer ranks or set run.threads lower, so that there is a core a thread"};
  }
  if (speeds[at].cgroup_cpus && *speeds[at].cgroup_cpus < threads_of_host) {
    return {"the control group allows " + number(*speeds[at].cgroup_cpus) + " CPUs for " +
                std::to_string(threads_of_host) + " threads on " + own.host,
            "ask for more CPUs (Slurm --cpus-per-task, docker --cpus), or set run.threads lower"};
  }
  return {"something else computes on " + own.host + ", or two of the cores are hyper-threads of one",
          "look with top at what else runs there; take one thread a physical core (mpirun --bind-to core "
          "--map-by slot:PE=n)"};
}

}  // namespace

Finding judge_threads(const Placement& placement, std::span<const ThreadSpeed> speeds) {
  double least = 1e9, most = 0;
  std::vector<int> slow;
  for (std::size_t rank = 0; rank < speeds.size(); ++rank) {
    least = std::min(least, speeds[rank].speed_up);
    most = std::max(most, speeds[rank].speed_up);
    const int threads = placement.threads[rank];
    if (speeds[rank].speed_up < kLeastShare * threads || speeds[rank].threads_used < threads) {
      slow.push_back(static_cast<int>(rank));
    }
  }
  const auto [fewest, largest] = std::ranges::minmax(placement.threads);
  const auto threads_in_words = [](int lowest, int highest) {
    return (lowest == highest ? std::to_string(lowest) : std::to_string(lowest) + " to " + std::to_string(highest)) +
           (highest == 1 ? " thread" : " threads");
  };
  const std::string work = number(least) + (number(least) == number(most) ? "" : " to " + number(most));
  Finding finding =
      ok(threads_in_words(fewest, largest) + " a rank, with the work of " + work + " alone, while all ranks compute");
  if (!slow.empty()) {
    const int rank = slow.front();
    const auto& speed = speeds[static_cast<std::size_t>(rank)];
    const auto [cause, advice] = cause_of(placement, speeds, rank);
    const int threads = placement.threads[static_cast<std::size_t>(rank)];
    finding = warning(
        names_of_ranks(slow) + ": " + threads_in_words(threads, threads) + (threads == 1 ? " does" : " do") +
            " the work of " + number(speed.speed_up) + " while all ranks compute, so " +
            (threads == 1 ? "it does not have a core of its own" : "they do not run in parallel") + ": " + cause,
        advice);
  }
  finding.figures = {{"least speed-up", least}, {"greatest speed-up", most}};
  return finding;
}

Finding check_threads(const Context& context) {
  const int threads = context.placement.threads[static_cast<std::size_t>(context.rank())];
  const int threads_before = at::get_num_threads();
  const double alone = measure_in_turn(context);
  const int rounds = std::max(1, static_cast<int>(kTogetherSeconds / std::max(alone, 1e-4)));
  at::set_num_threads(threads);
  seconds_together(threads, 1);  // threads are made
  context.world.barrier();
  const auto [seconds, used] = seconds_together(threads, rounds);
  at::set_num_threads(threads_before);

  const auto outcomes = gather_outcomes(context.world, [&] {
    const auto cpus = read_cgroup_limits().cpus;
    return json{{"speed_up", threads * rounds * alone / seconds}, {"used", used}, {"cpus", cpus ? *cpus : 0.0}};
  });
  if (const auto failed = fault_of(context, outcomes, "read its limits", "")) return *failed;
  std::vector<ThreadSpeed> speeds;
  for (const auto& outcome : outcomes) {
    ThreadSpeed& speed = speeds.emplace_back(
        ThreadSpeed{outcome.value["speed_up"].get<double>(), outcome.value["used"].get<int>(), std::nullopt});
    if (const double cpus = outcome.value["cpus"]; cpus > 0) speed.cgroup_cpus = cpus;
  }
  return judge_threads(context.placement, speeds);
}

}  // namespace meshfold::jobs::selftest
