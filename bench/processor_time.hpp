#pragma once

#include <time.h>

namespace meshfold::bench {

/// Processor time of this process: other work on the machine disturbs it little.
inline double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace meshfold::bench
