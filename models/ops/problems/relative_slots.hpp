#pragma once

#include <cstdint>
#include <vector>

#include "models/context/packed_input.hpp"

namespace meshfold::models::ops {

/// How DeBERTa-v2/v3 numbers the distance from a query to a key (He et al., 2020; make_log_bucket_position of
/// transformers 5): exact up to half of the buckets, beyond it buckets of logarithmic width. Example: 256 buckets and
/// distances to 512 give distance 127 slot 383, 128 and 129 slots 384 and 385, 511 slot 511, and -511 slot 1.
struct RelativeBuckets {
  std::int64_t num_buckets = 0;     ///< position_buckets, at least 2; 0: a slot for every distance
  std::int64_t max_distance = 512;  ///< max_relative_positions; beyond it slots are shared

  /// Half of the table of relative embeddings; the slot of distance 0.
  std::int64_t span() const { return num_buckets > 0 ? num_buckets : max_distance; }
};

/// The slots that inputs of at most `longest` tokens touch: those of the distances -(longest - 1) .. longest - 1, which
/// are a contiguous range of the table. Slots are counted from the first of them.
class RelativeSlots {
 public:
  RelativeSlots(const RelativeBuckets& buckets, std::int64_t longest);

  std::int64_t first() const { return first_; }  ///< row of the table
  std::int64_t count() const { return count_; }  ///< rows of the table; 0 if longest is 0
  /// Those that the first queries of inputs touch: of the distances -(longest - 1) .. 0, which come first.
  std::int64_t count_of_first_query() const { return longest_ == 0 ? 0 : slot(0) + 1; }
  /// The slot of query - key = `distance`; never falls as the distance rises.
  std::int32_t slot(std::int64_t distance) const { return by_descending_distance_[longest_ - 1 - distance]; }
  /// [key] is the slot of this query and the key, for keys 0 .. longest - 1.
  const std::int32_t* of_query(std::int64_t query) const {
    return by_descending_distance_.data() + (longest_ - 1 - query);
  }
  /// [i] is the slot of `distance` + i. Up to a vector may be read beyond the last.
  const std::int32_t* from_distance(std::int64_t distance) const {
    return by_rising_distance_.data() + (distance + longest_ - 1);
  }
  /// Whether no slot is left out: then neighbouring distances have equal or neighbouring slots.
  bool rises_one_by_one() const { return rises_one_by_one_; }

 private:
  std::int64_t longest_, first_ = 0, count_ = 0;
  std::vector<std::int32_t> by_descending_distance_;  ///< of the distances longest - 1 .. -(longest - 1)
  std::vector<std::int32_t> by_rising_distance_;      ///< the same backwards, then a vector of the last
  bool rises_one_by_one_ = true;
};

/// How many slots the first queries of inputs of at most `longest` tokens touch.
inline std::int64_t first_row_slots(const RelativeBuckets& buckets, std::int64_t longest) {
  return RelativeSlots(buckets, longest).count_of_first_query();
}

/// Tokens of the pack's longest input, 0 for an empty pack.
std::int64_t longest_input(const PackedInput& input);

}  // namespace meshfold::models::ops
