#pragma once

#include "models/networks/backbone.hpp"

namespace meshfold::models {

/// backbone.layer(...), which keeps only its inputs for backward and runs again there, with the same draws (Chen et
/// al., "Training Deep Nets with Sublinear Memory Cost", 2016). Outputs and gradients have the same bits; the step
/// takes about a third longer. `backbone` must outlive the graph.
LayerStream recomputed_layer(const Backbone& backbone, const LayerStream& stream, std::int64_t index, QueryRows rows,
                             const PackedInput& input, const ForwardContext& context);

}  // namespace meshfold::models
