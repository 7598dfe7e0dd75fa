#include <algorithm>
#include <cmath>
#include <set>

#include "base/text.hpp"
#include "dist/clock_offset.hpp"
#include "jobs/selftest/checks.hpp"
#include "jobs/selftest/rank_outcomes.hpp"

namespace meshfold::jobs::selftest {
namespace {

using nlohmann::json;

constexpr double kMostOffset = 1;   // seconds; what status says of a run compares file times with the clock
constexpr double kMostStep = 0.05;  // seconds; NTP slews by 0.5 ms a second and steps above 0.128
constexpr double kMostRate = 1e-3;

constexpr const char* kAdvice =
    "let NTP keep the machines' clocks (chronyc tracking): meshfold status and the times in logs and metrics go by "
    "them";

std::string seconds(double value) { return base::format(std::abs(value) < 0.1 ? "%.3f s" : "%.1f s", std::abs(value)); }

/// The first rank of every machine but rank 0's.
std::vector<int> first_ranks(const Context& context) {
  std::set<std::string> seen{context.host_of(0)};
  std::vector<int> ranks;
  for (int rank = 1; rank < context.size(); ++rank) {
    if (seen.insert(context.host_of(rank)).second) ranks.push_back(rank);
  }
  return ranks;
}

Finding judge_offsets(const Context& context, const json& offsets) {
  if (offsets.empty()) return ok("one machine");
  double most = 0, uncertainty = 0;
  Finding finding = ok("");
  for (const json& offset : offsets) {
    const double value = offset["seconds"], known_to = offset["uncertainty"];
    most = std::max(most, std::abs(value));
    uncertainty = std::max(uncertainty, known_to);
    if (std::abs(value) - known_to <= kMostOffset) continue;
    finding = combined(finding, warning("the clock of " + context.host_of(offset["rank"]) + " is " + seconds(value) +
                                            (value > 0 ? " ahead of " : " behind ") + context.host_of(0) + "'s",
                                        kAdvice));
  }
  if (finding.verdict == Verdict::kOk) {
    finding.found = "clocks of " + std::to_string(offsets.size() + 1) + " machines agree within " + seconds(most) +
                    " (known to " + seconds(uncertainty) + ")";
  }
  finding.figures = {{"largest offset, s", most}};
  return finding;
}

Finding judge_drift(const Context& context, const std::vector<RankOutcome>& outcomes, double elapsed) {
  Finding finding = ok("no clock was set meanwhile");
  double most = 0;
  std::set<std::string> named;
  for (int rank = 0; rank < context.size(); ++rank) {
    const double step = outcomes[static_cast<std::size_t>(rank)].value;
    most = std::max(most, std::abs(step));
    if (std::abs(step) <= kMostStep + kMostRate * elapsed || !named.insert(context.host_of(rank)).second) continue;
    finding = combined(finding, warning("the clock of " + context.host_of(rank) + " moved " + seconds(step) +
                                            (step > 0 ? " forward" : " back") + " within " + seconds(elapsed) +
                                            " against the clock that nothing sets",
                                        kAdvice));
  }
  finding.figures = {{"largest step, s", most}};
  return finding;
}

}  // namespace

Finding check_clock(const Context& context) {
  json measured = json::array();
  for (const auto& offset : dist::clock_offsets(context.world, first_ranks(context), context.wall_clock)) {
    measured.push_back({{"rank", offset.rank}, {"seconds", offset.seconds}, {"uncertainty", offset.uncertainty_s}});
  }
  const json offsets = json::parse(context.world.broadcast_bytes(measured.dump(), 0));
  const double elapsed = steady_seconds() - context.steady_at_start;
  const auto steps = gather_outcomes(context.world, [&] {
    return json(context.wall_clock() - context.wall_at_start - (steady_seconds() - context.steady_at_start));
  });
  const double shared_elapsed = json::parse(context.world.broadcast_bytes(json(elapsed).dump(), 0));
  return combined(judge_offsets(context, offsets), judge_drift(context, steps, shared_elapsed));
}

}  // namespace meshfold::jobs::selftest
