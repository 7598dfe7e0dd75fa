#pragma once

#include "models/networks/backbone.hpp"

namespace meshfold::models {

/// backbone.layer(...), which keeps only its inputs for backward and runs again there, with the same draws (Chen et
/// al., "Training Deep Nets with Sublinear Memory Cost", 2016). Outputs and gradients have the same bits; the step
/// takes about a third longer. `backbone` must outlive the graph.
LayerStream recomputed_layer(const Backbone& backbone, const LayerStream& stream, std::int64_t index, QueryRows rows,
                             const PackedInput& input, const ForwardContext& context);

/// The costs of a recomputed layer whose input has `input_bytes`, from those of the layer itself: what this keeps and
/// sends comes up again in backward. What forward makes is not stated anew, for it is always less than that.
ops::BlockCosts recomputed_costs(const ops::BlockCosts& layer, std::int64_t input_bytes);

}  // namespace meshfold::models
