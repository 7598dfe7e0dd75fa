#include "jobs/process_memory.hpp"

#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <limits>

namespace meshfold::jobs {

void keep_freed_memory() {
  const char* const tuned[] = {"GLIBC_TUNABLES", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_",
                               "MALLOC_MMAP_MAX_"};
  if (std::any_of(std::begin(tuned), std::end(tuned), [](const char* name) { return std::getenv(name) != nullptr; })) {
    return;
  }
#if defined(__GLIBC__)
  // The mapping threshold cannot be set above 32 MiB, and larger tensors are common: no block is mapped on its own.
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
#endif
}

std::uint64_t peak_resident_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace meshfold::jobs
