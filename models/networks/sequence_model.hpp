#pragma once

#include <memory>

#include "models/networks/backbone.hpp"
#include "models/networks/model.hpp"
#include "models/parameters/layer_rates.hpp"
#include "models/parameters/layout_map.hpp"

namespace meshfold::models {

/// A backbone and the head that `head` asks for, with one store for both: the backbone's parameters first. They are
/// allocated here, in the pieces that `layout` gives this rank, but hold no values yet. On a tensor axis all its ranks
/// call forward with the same input, and all get the outputs. What `rates` freezes gets no gradient; where the
/// embeddings are frozen, backward ends above the lowest layers that are frozen too. With several pipeline ranks it is
/// one stage: its parameters alone, under the names, shapes and draws of the whole model, and stage() in place of
/// forward(). Throws LayoutError.
std::unique_ptr<Model> make_sequence_model(std::unique_ptr<Backbone> backbone, const HeadConfig& head,
                                           at::ScalarType compute_type, const ModelLayout& layout = {},
                                           Recompute recompute = Recompute::kNone, const LayerRates& rates = {});

}  // namespace meshfold::models
