#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "dist/communicator.hpp"
#include "dist/mesh.hpp"
#include "dist/process_group.hpp"
#include "jobs/placement.hpp"

namespace meshfold::jobs::selftest {

/// Seconds since some beginning.
using Clock = std::function<double()>;

double wall_seconds();    ///< of the system's clock, which an administrator or NTP may set
double steady_seconds();  ///< of the clock that nothing sets

/// What the checks are given. Every check is collective over `world`.
struct Context {
  std::shared_ptr<dist::Communicator> communicator;  ///< of all ranks
  dist::ProcessGroup& world;
  const dist::Mesh& mesh;
  Placement placement;
  std::filesystem::path directory;     ///< where the storage checks write
  std::chrono::milliseconds patience;  ///< longest wait for storage or for a file of another rank to be seen
  /// Longest time of one check; more than the waits in it, for those can say more.
  std::chrono::milliseconds longest_check = std::chrono::seconds(150);
  Clock wall_clock = wall_seconds;
  double wall_at_start = wall_seconds(), steady_at_start = steady_seconds();

  int rank() const { return world.rank(); }
  int size() const { return world.size(); }
  const std::string& host_of(int rank) const { return placement.ranks[static_cast<std::size_t>(rank)].host; }
};

/// "rank 3 on nodeB".
std::string name_of_rank(const Context& context, int rank);
/// "rank 3" or "ranks 0-2, 4".
std::string names_of_ranks(const std::vector<int>& ranks);

}  // namespace meshfold::jobs::selftest
