#include "jobs/run/rank_groups.hpp"

#include <algorithm>
#include <cassert>
#include <numeric>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>

#include "jobs/error.hpp"

namespace meshfold::jobs {
namespace {

std::vector<RankGroup> cut_ranks(int num_ranks, int num_groups) {
  std::vector<RankGroup> groups(static_cast<std::size_t>(num_groups));
  int next = 0;
  for (int g = 0; g < num_groups; ++g) {
    const int size = num_ranks / num_groups + (g < num_ranks % num_groups ? 1 : 0);
    auto& ranks = groups[static_cast<std::size_t>(g)].ranks;
    ranks.resize(static_cast<std::size_t>(size));
    std::iota(ranks.begin(), ranks.end(), next);
    next += size;
  }
  return groups;
}

}  // namespace

std::vector<RankGroup> place_jobs(std::span<const std::uint64_t> costs, int num_ranks, int num_groups) {
  if (num_groups < 1 || num_groups > num_ranks || static_cast<std::size_t>(num_groups) > costs.size()) {
    throw std::invalid_argument("cannot place " + std::to_string(costs.size()) + " jobs on " +
                                std::to_string(num_groups) + " groups of " + std::to_string(num_ranks) + " ranks");
  }
  auto groups = cut_ranks(num_ranks, num_groups);
  std::vector<std::uint64_t> loads(groups.size(), 0);

  std::vector<std::size_t> longest_first(costs.size());
  std::iota(longest_first.begin(), longest_first.end(), std::size_t{0});
  std::stable_sort(longest_first.begin(), longest_first.end(),
                   [&](std::size_t a, std::size_t b) { return costs[a] > costs[b]; });

  for (const std::size_t job : longest_first) {
    std::size_t earliest = 0;
    for (std::size_t g = 1; g < groups.size(); ++g) {
      // (load + cost) / size, compared by cross-multiplication so that every machine decides alike.
      const auto finish = (loads[g] + costs[job]) * groups[earliest].ranks.size();
      const auto best_finish = (loads[earliest] + costs[job]) * groups[g].ranks.size();
      if (std::tie(finish, loads[g]) < std::tie(best_finish, loads[earliest])) earliest = g;
    }
    groups[earliest].jobs.push_back(job);
    loads[earliest] += costs[job];
  }
  return groups;
}

void spread_over_ranks(std::vector<RankGroup>& groups, int unit) {
  for (RankGroup& group : groups) {
    std::vector<int> ranks;
    for (const int first : group.ranks) {
      for (int i = 0; i < unit; ++i) ranks.push_back(first * unit + i);
    }
    group.ranks = std::move(ranks);
  }
}

std::vector<RankGroup> group_ranks(const RunConfig& config, std::span<const JobPlan> jobs, const data::Dataset& dataset,
                                   int num_ranks) {
  std::vector<std::uint64_t> costs;
  for (const JobPlan& job : jobs) {
    std::uint64_t tokens = 0;
    for (const auto row : job.training_rows) tokens += dataset.sample_length(row);
    costs.push_back(tokens);
  }
  const int unit = std::max(config.mesh.pipeline, 1) * std::max(config.mesh.tensor, 1);
  if (num_ranks % unit != 0) {
    throw ConfigError("mesh.tensor x mesh.pipeline = " + std::to_string(unit) + " does not divide the " +
                      std::to_string(num_ranks) + " ranks; start a multiple of it");
  }
  const int units = num_ranks / unit, most = std::min(static_cast<int>(jobs.size()), units);
  auto groups = place_jobs(costs, units, std::min(config.cv.groups > 0 ? config.cv.groups : most, most));
  spread_over_ranks(groups, unit);
  return groups;
}

std::size_t group_of_rank(std::span<const RankGroup> groups, int rank) {
  const auto found = std::find_if(groups.begin(), groups.end(), [&](const RankGroup& group) {
    return std::ranges::binary_search(group.ranks, rank);
  });
  assert(found != groups.end());
  return static_cast<std::size_t>(found - groups.begin());
}

}  // namespace meshfold::jobs
