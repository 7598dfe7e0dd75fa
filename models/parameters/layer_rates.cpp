#include "models/parameters/layer_rates.hpp"

#include <charconv>
#include <cmath>

namespace meshfold::models {

std::optional<std::int64_t> layer_of(std::string_view name) {
  constexpr std::string_view kMark = ".layer.";
  const std::size_t mark = name.find(kMark);
  if (mark == std::string_view::npos) return std::nullopt;
  const std::string_view rest = name.substr(mark + kMark.size());
  std::int64_t layer = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), layer);
  if (error != std::errc() || end == rest.data() + rest.size() || *end != '.') return std::nullopt;
  return layer;
}

void set_layer_rates(ParameterStore& store, std::size_t num_backbone, std::int64_t num_layers,
                     const LayerRates& rates) {
  for (std::size_t i = 0; i < num_backbone; ++i) {
    const std::optional<std::int64_t> layer = layer_of(store[i].spec.name);
    const bool frozen = layer ? *layer < rates.freeze_lower_layers : rates.freeze_embeddings;
    const std::int64_t depth = layer ? num_layers - *layer : num_layers + 1;  // below the head
    store.set_rate(i, frozen ? 0.0 : std::pow(rates.decay, static_cast<double>(depth)));
  }
}

}  // namespace meshfold::models
