#pragma once

#include <functional>
#include <span>
#include <vector>

#include "dist/process_group.hpp"

namespace meshfold::dist {

/// How far the clock of `rank` is ahead of rank 0's, known to half the time of the fastest exchange.
struct ClockOffset {
  int rank;
  double seconds, uncertainty_s;
};

/// Compares the clocks of `ranks` (0 not among them) with rank 0's by messages to and fro, one rank after the other, as
/// NTP does: offset = (t2 - t1 + t3 - t4) / 2 of the exchange that took least (Mills, RFC 5905, section 8). `clock`
/// gives seconds. Collective over `group`; the result is rank 0's, and empty elsewhere.
std::vector<ClockOffset> clock_offsets(ProcessGroup& group, std::span<const int> ranks,
                                       const std::function<double()>& clock);

}  // namespace meshfold::dist
