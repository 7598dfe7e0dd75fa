#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace meshfold::jobs {

/// Ranks that work together, and the folds they run one after the other, longest first.
struct RankGroup {
  std::vector<int> ranks;  ///< ascending and contiguous
  std::vector<int> folds;
};

/// Places folds on rank groups. Pure, so every rank computes the same. The ranks are cut into `num_groups` contiguous
/// groups whose sizes differ by at most one (larger ones first); the folds are taken longest first, each by the group
/// that would finish it earliest: smallest (load + cost) / ranks, ties by smaller load, then lower group. Every group
/// gets a fold. All folds take part, finished or not: a restart on the same ranks then gives an interrupted fold a
/// group of the size it began with, which keeps its bits (docs/numerics.md). Example: costs {1, 1, 1} on 4 ranks in 3
/// groups -> {0,1}: fold 0; {2}: fold 1; {3}: fold 2. `costs[k]` is the work of fold k in any unit below 2^48. Throws
/// invalid_argument unless 1 <= num_groups <= min(folds, ranks).
std::vector<RankGroup> place_jobs(std::span<const std::uint64_t> costs, int num_ranks, int num_groups);

/// Puts `unit` neighbouring ranks in the place of each: what was placed were units, the ranks that hold one model
/// together.
void spread_over_ranks(std::vector<RankGroup>& groups, int unit);

/// The group that `rank` belongs to.
std::size_t group_of_rank(std::span<const RankGroup> groups, int rank);

}  // namespace meshfold::jobs
