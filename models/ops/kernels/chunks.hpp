#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdint>

namespace meshfold::models::ops {

/// Rows are cut into chunks of this size whatever the number of threads, so sums over chunks have the same bits on any
/// number.
inline constexpr std::int64_t kChunkRows = 32;

inline std::int64_t num_chunks(std::int64_t rows) { return (rows + kChunkRows - 1) / kChunkRows; }

/// work(chunk, first row, end row), in parallel. Only in files compiled with OpenMP, else at::parallel_for uses one
/// thread.
template <typename Work>
void for_each_chunk(std::int64_t rows, const Work& work) {
#ifndef _OPENMP
#error "kernels must be compiled with OpenMP"
#endif
  at::parallel_for(0, num_chunks(rows), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t chunk = begin; chunk < end; ++chunk) {
      work(chunk, chunk * kChunkRows, std::min(rows, (chunk + 1) * kChunkRows));
    }
  });
}

}  // namespace meshfold::models::ops
