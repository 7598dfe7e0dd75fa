#pragma once

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "models/networks/model.hpp"

namespace meshfold::models {

/// The names of ways of pooling, in options and files.
inline constexpr std::array<std::pair<const char*, Pooling>, 8> kPoolingNames{{
    {"cls", Pooling::kCls},
    {"mean", Pooling::kMean},
    {"max", Pooling::kMax},
    {"min", Pooling::kMin},
    {"last", Pooling::kLast},
    {"attention", Pooling::kAttention},
    {"weighted_layers", Pooling::kWeightedLayers},
    {"concat_cls", Pooling::kConcatCls},
}};

inline std::string name_of(Pooling pooling) {
  const auto found = std::ranges::find(kPoolingNames, pooling, [](const auto& entry) { return entry.second; });
  if (found == kPoolingNames.end()) throw std::invalid_argument("a head has an unknown pooling");
  return found->first;
}

/// Throws invalid_argument for another name.
inline Pooling pooling_named(const std::string& name) {
  const auto found = std::ranges::find(kPoolingNames, std::string_view(name),
                                       [](const auto& entry) { return std::string_view(entry.first); });
  if (found == kPoolingNames.end()) throw std::invalid_argument("pooling '" + name + "' is not known");
  return found->second;
}

/// Adds how the head pools to a JSON object, and reads it again; the keys of layers may be absent in files of earlier
/// versions. read_pooling throws the JSON library's errors, and invalid_argument for an unknown name.
template <typename Json>
void write_pooling(const HeadConfig& head, Json& json) {
  json["pooling"] = name_of(head.pooling);
  if (head.pooling == Pooling::kWeightedLayers) {
    json["first_layer"] = head.first_state;
    json["layer_pooling"] = name_of(head.layer_pooling);
  }
  if (head.pooling == Pooling::kConcatCls) json["num_layers"] = head.num_layers;
}

template <typename Json>
void read_pooling(const Json& json, HeadConfig& head) {
  head.pooling = pooling_named(json.at("pooling").template get<std::string>());
  head.first_state = json.value("first_layer", head.first_state);
  head.layer_pooling = pooling_named(json.value("layer_pooling", name_of(head.layer_pooling)));
  head.num_layers = json.value("num_layers", head.num_layers);
}

}  // namespace meshfold::models
