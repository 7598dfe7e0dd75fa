#include "jobs/selftest/context.hpp"

#include "dist/cpu.hpp"

namespace meshfold::jobs::selftest {
namespace {

template <typename AnyClock>
double seconds_of() {
  return std::chrono::duration<double>(AnyClock::now().time_since_epoch()).count();
}

}  // namespace

double wall_seconds() { return seconds_of<std::chrono::system_clock>(); }
double steady_seconds() { return seconds_of<std::chrono::steady_clock>(); }

std::string name_of_rank(const Context& context, int rank) {
  return "rank " + std::to_string(rank) + " on " + context.host_of(rank);
}

std::string names_of_ranks(const std::vector<int>& ranks) {
  return (ranks.size() == 1 ? "rank " : "ranks ") + dist::ranges_of(ranks);
}

}  // namespace meshfold::jobs::selftest
