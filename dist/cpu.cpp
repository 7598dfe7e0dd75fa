#include "dist/cpu.hpp"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

namespace meshfold::dist {

int usable_cores() {
  // The kernel refuses a mask that is too small for the machine, and cpu_set_t ends at 1,024 cores.
  for (std::size_t num_sets = 1; num_sets <= 64; num_sets *= 2) {
    std::vector<cpu_set_t> mask(num_sets);
    const std::size_t num_bytes = num_sets * sizeof(cpu_set_t);
    if (sched_getaffinity(0, num_bytes, mask.data()) == 0) return CPU_COUNT_S(num_bytes, mask.data());
    if (errno != EINVAL) break;
  }
  throw std::system_error(errno, std::generic_category(), "sched_getaffinity");
}

int threads_per_rank(int usable, int local_ranks) {
  if (usable < 1 || local_ranks < 1) {
    throw std::invalid_argument("threads_per_rank: " + std::to_string(usable) + " cores for " +
                                std::to_string(local_ranks) + " ranks");
  }
  return std::max(1, usable / local_ranks);
}

}  // namespace meshfold::dist
