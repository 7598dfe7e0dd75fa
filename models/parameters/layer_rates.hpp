#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "models/parameters/parameter_store.hpp"

namespace meshfold::models {

/// How fast each layer of a model learns. "Embeddings" is all that comes before layer 0, relative embeddings included.
struct LayerRates {
  bool freeze_embeddings = false;
  std::int64_t freeze_lower_layers = 0;  ///< layers 0 to n - 1
  /// Layer l of L learns at decay^(L - l) of the learning rate, the embeddings at decay^(L + 1), the head at all of it.
  double decay = 1.0;
};

/// The number of the layer that a backbone's parameter belongs to, from its Hugging Face name
/// ("bert.encoder.layer.3.output.dense.bias": 3); nothing for the embeddings and the head.
std::optional<std::int64_t> layer_of(std::string_view name);

/// Sets the learning-rate factors of a store whose first `num_backbone` parameters are those of a backbone of
/// `num_layers` layers.
void set_layer_rates(ParameterStore& store, std::size_t num_backbone, std::int64_t num_layers, const LayerRates& rates);

}  // namespace meshfold::models
