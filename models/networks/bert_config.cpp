#include "models/networks/bert_config.hpp"

#include <string>

#include "models/networks/config_values.hpp"

namespace meshfold::models {
namespace {

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
  config.vocabulary_size = required_size(json, "vocab_size");
  config.hidden_size = required_size(json, "hidden_size");
  config.num_layers = required_size(json, "num_hidden_layers");
  config.num_heads = required_size(json, "num_attention_heads");
  config.intermediate_size = required_size(json, "intermediate_size");
  config.max_positions = required_size(json, "max_position_embeddings");
  config.num_segments = json.find("type_vocab_size") ? required_size(json, "type_vocab_size") : 2;
  if (config.hidden_size % config.num_heads != 0) json.fail("hidden_size does not divide by num_attention_heads");
  config.hidden_activation = activation_of(json, "hidden_act");
  config.layer_norm_epsilon = small_positive(json, "layer_norm_eps", config.layer_norm_epsilon);
  config.initializer_range = small_positive(json, "initializer_range", config.initializer_range);
  config.hidden_dropout = optional_probability(json, "hidden_dropout_prob").value_or(config.hidden_dropout);
  config.attention_dropout =
      optional_probability(json, "attention_probs_dropout_prob").value_or(config.attention_dropout);
  config.classifier_dropout = optional_probability(json, "classifier_dropout");
  return config;
}

}  // namespace meshfold::models
