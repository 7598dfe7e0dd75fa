#include "models/parameters/layer_rates.hpp"

#include <cmath>

namespace meshfold::models {

void set_layer_rates(ParameterStore& store, std::int64_t num_layers, const LayerRates& rates) {
  for (std::size_t i = 0; i < store.size(); ++i) {
    const ParameterSpec& spec = store[i].spec;
    if (spec.is_of_head()) continue;
    const bool frozen = spec.layer ? *spec.layer < rates.freeze_lower_layers : rates.freeze_embeddings;
    const std::int64_t depth = spec.layer ? num_layers - *spec.layer : num_layers + 1;  // below the head
    store.set_rate(i, frozen ? 0.0 : std::pow(rates.decay, static_cast<double>(depth)));
  }
}

}  // namespace meshfold::models
