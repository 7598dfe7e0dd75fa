#include "data/pack.hpp"

#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>

namespace meshfold::data {
namespace {

// 2 x total x parts can pass 64 bits on a long corpus cut into many parts.
__extension__ using Wide = unsigned __int128;

}  // namespace

std::uint64_t sample_cost(const Dataset& dataset, std::uint32_t sample, const InputCost& input_cost) {
  std::uint64_t cost = 0;
  for (std::uint32_t view = 0; view < dataset.views_per_sample(); ++view) {
    cost += input_cost(dataset.length(std::uint64_t{sample} * dataset.views_per_sample() + view));
  }
  return cost;
}

std::vector<PackRange> pack(std::span<const std::uint64_t> costs, std::size_t parts) {
  if (parts == 0) throw std::invalid_argument("a step cannot be cut into 0 packs");
  const std::uint64_t total = std::accumulate(costs.begin(), costs.end(), std::uint64_t{0});

  std::vector<PackRange> packs(parts);
  std::size_t sample = 0;
  std::uint64_t before = 0;  // cost of the samples in front of `sample`
  for (std::size_t k = 1; k <= parts; ++k) {
    packs[k - 1].begin = sample;
    // midpoint >= total * k / parts, times 2 * parts on both sides to stay in integers
    while (sample < costs.size() && (k == parts || (2 * Wide{before} + costs[sample]) * parts < 2 * Wide{total} * k)) {
      before += costs[sample++];
    }
    packs[k - 1].end = sample;
  }
  return packs;
}

PackedBatch assemble(const Dataset& dataset, std::span<const std::uint32_t> rows) {
  const std::uint32_t views = dataset.views_per_sample();
  PackedBatch batch;
  batch.views_per_sample = views;
  batch.rows.assign(rows.begin(), rows.end());

  std::uint64_t num_tokens = 0;
  for (const std::uint32_t row : rows) num_tokens += dataset.sample_length(row);
  if (num_tokens > std::uint64_t{std::numeric_limits<std::int32_t>::max()}) {
    throw std::length_error("a pack of " + std::to_string(num_tokens) + " tokens; at most 2,147,483,647 fit");
  }
  batch.token_ids.resize(num_tokens);
  batch.positions.resize(num_tokens);
  batch.segments.resize(num_tokens);
  batch.cu_seqlens.reserve(rows.size() * views + 1);
  batch.cu_seqlens.push_back(0);

  std::size_t begin = 0;
  for (const std::uint32_t row : rows) {
    for (std::uint32_t view = 0; view < views; ++view) {
      const std::uint64_t input = std::uint64_t{row} * views + view;
      const std::uint32_t length = dataset.length(input);
      const std::uint32_t pair_start = dataset.pair_start(input);
      dataset.copy_tokens(input, batch.token_ids.data() + begin);
      for (std::uint32_t i = 0; i < length; ++i) {
        batch.positions[begin + i] = static_cast<std::int32_t>(i);
        batch.segments[begin + i] = pair_start != 0 && i >= pair_start;
      }
      begin += length;
      batch.cu_seqlens.push_back(static_cast<std::int32_t>(begin));
    }
    const auto targets = dataset.targets(row);
    const auto features = dataset.features(row);
    batch.targets.insert(batch.targets.end(), targets.begin(), targets.end());
    batch.features.insert(batch.features.end(), features.begin(), features.end());
  }
  return batch;
}

}  // namespace meshfold::data
