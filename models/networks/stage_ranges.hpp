#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace meshfold::models {

struct BackboneShape;

/// Layers [first, end) of a backbone: what a pipeline stage computes. Stage 0 embeds too, the last one has the head.
struct LayerRange {
  std::int64_t first = 0, end = 0;
  bool operator==(const LayerRange&) const = default;
};

/// Work of a token on the way forward, in multiplications.
struct StageCosts {
  std::int64_t embeddings = 0, layer = 0, head = 0;
};

/// Layers by their matrix products; embeddings have none, their table rows are added, normalised and dropped out; the
/// head's pooler is one product an input, here of 128 tokens. What grows with the length of an input, attention's
/// scores, is the same in every layer and so without influence.
StageCosts stage_costs(const BackboneShape& shape);

/// The consecutive ranges, at least one layer each, whose costliest one is cheapest; among those, the evenest (least
/// sum of squares); among those, the one with fewer layers in front. In integers: every rank decides alike. Throws
/// LayoutError if the stages are more than the layers.
std::vector<LayerRange> balanced_stages(const StageCosts& costs, std::int64_t num_layers, int num_stages);

/// The stages of a model of this shape: `given` layers a stage (pipeline.stages), or balanced if none are given. One
/// stage has all layers whatever is given. Throws LayoutError for counts that are not one a stage, positive, and in sum
/// the layers.
std::vector<LayerRange> stage_ranges(const BackboneShape& shape, int num_stages, std::span<const int> given = {});

}  // namespace meshfold::models
