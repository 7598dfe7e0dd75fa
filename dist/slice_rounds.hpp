#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace meshfold::dist {

/// How an array is cut when rank r reduces slice r for all: what is sent, whatever carries it. Slices are taken in
/// rounds, so that scratch memory stays small and one round's sums are added while the next one travels. Neither the
/// slices nor the rounds show in the result: each element is added over the ranks in tree order by itself.
///
/// Example: 7 elements over 2 ranks, at most 3 a chunk: slices [0, 4) and [4, 7); round 0 has [0, 3) and [4, 7), round
/// 1 has [3, 4) and nothing of rank 1's.
class SliceRounds {
 public:
  struct Range {
    std::size_t begin, count;  ///< elements
  };

  /// Rank r's slice is rows[r] rows of `row_elements` elements, behind those of the ranks before it.
  SliceRounds(std::span<const std::int64_t> rows, std::size_t row_elements, std::size_t max_chunk);

  std::size_t chunk() const { return chunk_; }  ///< elements of the largest chunk; at least 1
  std::size_t num_rounds() const { return num_rounds_; }
  Range slice(int rank) const;
  /// What round `round` has of rank `rank`'s slice; empty where a slice has fewer rounds than the longest.
  Range range(int rank, std::size_t round) const;

 private:
  std::vector<std::size_t> starts_;  ///< of each rank's slice, and the end
  std::size_t chunk_ = 1, num_rounds_ = 1;
};

}  // namespace meshfold::dist
