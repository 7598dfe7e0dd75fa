#pragma once

#include <cstdint>

#include "models/ops/problems/relative_slots.hpp"

/// Between scores by distance and rows by slot, sixteen distances at a time. The slots of sixteen neighbouring
/// distances lie within sixteen neighbours, so one load and one permutation gather them. Only where base::has_avx512()
/// and for slots that rise one by one.
namespace meshfold::models::ops::kernels {

/// Up to one block of rows (queries or keys) with a value for each slot that the block touches.
struct SlotBlock {
  float* values;  ///< [rows, stride]; up to a vector may be read beyond the last row
  std::int64_t stride;
  std::int64_t begin, end;  ///< rows of the input
  std::int64_t first_slot;  ///< of the values' first column
};

/// Scores of queries `begin` .. `end` - 1 and all keys of an input.
struct ScoreRows {
  float* values;  ///< [queries, stride]
  std::int64_t stride;
  std::int64_t begin, end, num_keys;
};

/// scores[q, k] += positions[q, slot of q - k]; both begin at the same query.
void add_query_rows(const RelativeSlots& slots, const SlotBlock& positions, const ScoreRows& scores);
/// scores[q, k] += positions[k, slot of q - k] for the keys of `positions`.
void add_key_rows(const RelativeSlots& slots, const SlotBlock& positions, const ScoreRows& scores);
/// The transposes: scores are added to their slots; those that share a slot are summed by rising distance in a tree.
void spread_to_query_rows(const RelativeSlots& slots, const ScoreRows& scores, const SlotBlock& positions);
void spread_to_key_rows(const RelativeSlots& slots, const ScoreRows& scores, const SlotBlock& positions);

}  // namespace meshfold::models::ops::kernels
