#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "data/dataset.hpp"

namespace meshfold::data {

/// Samples [begin, end) of a step; may be empty.
struct PackRange {
  std::size_t begin = 0;
  std::size_t end = 0;
};

/// Relative cost of an input of so many tokens, in integers so that every machine cuts alike. Whoever computes the
/// input knows it (models::Backbone::input_cost).
using InputCost = std::function<std::uint64_t(std::uint64_t length)>;

/// Sum over the views of a sample.
std::uint64_t sample_cost(const Dataset& dataset, std::uint32_t sample, const InputCost& input_cost);

/// Cuts the step's samples, in order, into exactly `parts` contiguous packs: cut k is before the first sample whose
/// cumulative cost midpoint reaches k / parts of the total. Pure integer arithmetic; packs may be empty.
std::vector<PackRange> pack(std::span<const std::uint64_t> costs, std::size_t parts);

/// One pack, ready to be computed: S inputs (samples x views) of T tokens in all, without padding.
struct PackedBatch {
  std::vector<std::int32_t> token_ids, positions, segments;  ///< [T]
  std::vector<std::int32_t> cu_seqlens;                      ///< [S + 1], cu_seqlens[0] = 0
  std::vector<std::uint32_t> rows;                           ///< [samples] dataset rows, the sample ids
  std::uint32_t views_per_sample = 1;
  std::vector<float> targets;   ///< [samples, C]
  std::vector<float> features;  ///< [samples, F]
};

PackedBatch assemble(const Dataset& dataset, std::span<const std::uint32_t> rows);

}  // namespace meshfold::data
