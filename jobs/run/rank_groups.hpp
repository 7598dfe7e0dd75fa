#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/dataset.hpp"
#include "jobs/config/run_config.hpp"
#include "jobs/run/job.hpp"

namespace meshfold::jobs {

/// Ranks that work together, and the jobs they run one after the other, longest first.
struct RankGroup {
  std::vector<int> ranks;         ///< ascending and contiguous
  std::vector<std::size_t> jobs;  ///< places in the list of jobs
};

/// Places jobs on rank groups. Pure, so every rank computes the same. The ranks are cut into `num_groups` contiguous
/// groups whose sizes differ by at most one (larger ones first); the jobs are taken longest first, each by the group
/// that would finish it earliest: smallest (load + cost) / ranks, ties by smaller load, then lower group. Every group
/// gets a job. All jobs take part, finished or not: a restart on the same ranks then gives an interrupted job a group
/// of the size it began with, which keeps its bits (docs/numerics.md). Example: costs {1, 1, 1} on 4 ranks in 3 groups
/// -> {0,1}: job 0; {2}: job 1; {3}: job 2. `costs[k]` is the work of job k in any unit below 2^48. Throws
/// invalid_argument unless 1 <= num_groups <= min(jobs, ranks).
std::vector<RankGroup> place_jobs(std::span<const std::uint64_t> costs, int num_ranks, int num_groups);

/// Puts `unit` neighbouring ranks in the place of each: what was placed were units, the ranks that hold one model
/// together.
void spread_over_ranks(std::vector<RankGroup>& groups, int unit);

/// The rank groups of a run, as many as cv.groups says: ranks that hold one model together stay together, and the jobs
/// go where they end earliest by the tokens of their training rows (place_jobs). ConfigError if the ranks are no
/// multiple of those that hold a model.
std::vector<RankGroup> group_ranks(const RunConfig& config, std::span<const JobPlan> jobs, const data::Dataset& dataset,
                                   int num_ranks);

/// The group that `rank` belongs to.
std::size_t group_of_rank(std::span<const RankGroup> groups, int rank);

}  // namespace meshfold::jobs
