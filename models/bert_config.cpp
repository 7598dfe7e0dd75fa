#include "models/bert_config.hpp"

#include <array>
#include <utility>

#include "models/model_directory_json.hpp"

namespace meshfold::models {
namespace {

std::int64_t size(const ConfigJson& config, const char* key) {
  const std::optional<std::int64_t> value = config.integer(key);
  if (!value) config.fail(std::string("lacks key '") + key + "'");
  constexpr std::int64_t kLargest = std::int64_t{1} << 31;  // keeps products of two sizes within 64 bits
  if (*value < 1 || *value >= kLargest) config.fail(std::string("key '") + key + "' must be a positive size");
  return *value;
}

std::optional<double> probability(const ConfigJson& config, const char* key) {
  const std::optional<double> value = config.number(key);
  if (value && !(*value >= 0.0 && *value < 1.0)) config.fail(std::string("key '") + key + "' must be in [0, 1)");
  return value;
}

double positive(const ConfigJson& config, const char* key, double fallback) {
  const double value = config.number(key).value_or(fallback);
  if (!(value > 0.0 && value < 1.0)) config.fail(std::string("key '") + key + "' must be between 0 and 1");
  return value;
}

ops::Activation activation(const ConfigJson& config) {
  static constexpr std::array<std::pair<const char*, ops::Activation>, 4> kNames{{
      {"gelu", ops::Activation::kGelu},
      {"gelu_new", ops::Activation::kGeluTanh},
      {"gelu_pytorch_tanh", ops::Activation::kGeluTanh},
      {"relu", ops::Activation::kRelu},
  }};
  const std::string wanted = config.text("hidden_act").value_or("gelu");
  for (const auto& [name, value] : kNames) {
    if (wanted == name) return value;
  }
  config.fail("hidden_act '" + wanted + "' is not supported; supported: gelu, gelu_new, gelu_pytorch_tanh, relu");
}

/// Refuses what would be another network under the same sizes.
void check_architecture(const ConfigJson& config) {
  const std::string positions = config.text("position_embedding_type").value_or("absolute");
  if (positions != "absolute") {
    config.fail("position_embedding_type '" + positions + "' is not supported; supported: absolute");
  }
  for (const char* key : {"is_decoder", "add_cross_attention"}) {
    if (config.flag(key)) config.fail(std::string("key '") + key + "' is true; only encoders are supported");
  }
  const auto* pruned = config.find("pruned_heads");
  if (pruned && !pruned->empty()) config.fail("pruned_heads is not supported; save the model with all its heads");
}

}  // namespace

BertConfig read_bert_config(const ConfigJson& json) {
  check_architecture(json);
  BertConfig config;
  config.vocabulary_size = size(json, "vocab_size");
  config.hidden_size = size(json, "hidden_size");
  config.num_layers = size(json, "num_hidden_layers");
  config.num_heads = size(json, "num_attention_heads");
  config.intermediate_size = size(json, "intermediate_size");
  config.max_positions = size(json, "max_position_embeddings");
  config.num_segments = json.find("type_vocab_size") ? size(json, "type_vocab_size") : 2;
  if (config.hidden_size % config.num_heads != 0) json.fail("hidden_size does not divide by num_attention_heads");
  config.hidden_activation = activation(json);
  config.layer_norm_epsilon = positive(json, "layer_norm_eps", config.layer_norm_epsilon);
  config.initializer_range = positive(json, "initializer_range", config.initializer_range);
  config.hidden_dropout = probability(json, "hidden_dropout_prob").value_or(config.hidden_dropout);
  config.attention_dropout = probability(json, "attention_probs_dropout_prob").value_or(config.attention_dropout);
  config.classifier_dropout = probability(json, "classifier_dropout");
  return config;
}

}  // namespace meshfold::models
