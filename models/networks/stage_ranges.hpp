#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace meshfold::models {

struct ParameterSpec;

/// Layers [first, end) of a backbone: what a pipeline stage computes. Stage 0 embeds too, the last one has the head.
struct LayerRange {
  std::int64_t first = 0, end = 0;
  bool operator==(const LayerRange&) const = default;
};

/// Whether the stage of `range` in a model of `num_layers` layers holds a parameter.
bool holds(const LayerRange& range, std::int64_t num_layers, const ParameterSpec& parameter);

/// Multiply-adds of a token on the way forward, by which stages are balanced.
struct TokenWork {
  std::int64_t embeddings = 0, layer = 0, head = 0;
};

/// The consecutive ranges, at least one layer each, whose costliest one is cheapest; among those, the evenest (least
/// sum of squares); among those, the one with fewer layers in front. In integers: every rank decides alike. Throws
/// LayoutError if the stages are more than the layers.
std::vector<LayerRange> balanced_stages(const TokenWork& work, std::int64_t num_layers, int num_stages);

/// The stages of a model of `num_layers` layers: `given` layers per stage (pipeline.stages), or balanced if none are
/// given. One stage has all layers whatever is given. Throws LayoutError for counts that are not one per stage,
/// positive, and in sum the layers.
std::vector<LayerRange> stage_ranges(const TokenWork& work, std::int64_t num_layers, int num_stages,
                                     std::span<const int> given = {});

}  // namespace meshfold::models
