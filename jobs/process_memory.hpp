#pragma once

#include <cstdint>

namespace meshfold::jobs {

/// Lets the C library keep freed blocks, so that a step finds the memory of the one before instead of fresh pages
/// (docs/benchmarks.md has the effect). Called once, before anything large is allocated. Does nothing where the user
/// tunes malloc in the environment (GLIBC_TUNABLES, MALLOC_TRIM_THRESHOLD_, MALLOC_MMAP_THRESHOLD_ or
/// MALLOC_MMAP_MAX_), and where it is not glibc's malloc.
void keep_freed_memory();

/// The most resident memory this process had at once, in bytes.
std::uint64_t peak_resident_bytes();

}  // namespace meshfold::jobs
