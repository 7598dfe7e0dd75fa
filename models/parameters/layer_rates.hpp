#pragma once

#include <cstdint>

#include "models/parameters/parameter_store.hpp"

namespace meshfold::models {

/// How fast each layer of a model learns. "Embeddings" is all that comes before layer 0, relative embeddings included.
struct LayerRates {
  bool freeze_embeddings = false;
  std::int64_t freeze_lower_layers = 0;  ///< layers 0 to n - 1
  /// Layer l of L learns at decay^(L - l) of the learning rate, the embeddings at decay^(L + 1), the head at all of it.
  double decay = 1.0;
};

/// Sets the learning-rate factors of a store that holds a backbone of `num_layers` layers, and perhaps its head.
void set_layer_rates(ParameterStore& store, std::int64_t num_layers, const LayerRates& rates);

}  // namespace meshfold::models
