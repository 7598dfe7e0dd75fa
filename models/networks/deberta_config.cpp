#include "models/networks/deberta_config.hpp"

#include <cmath>
#include <string>
#include <vector>

#include "models/networks/config_values.hpp"

namespace meshfold::models {
namespace {

/// "p2c|c2p" or ["p2c", "c2p"], as lower-case words without blanks around them.
std::vector<std::string> words_of(const ConfigJson& json, const char* key) {
  const ConfigJson::Json* value = json.find(key);
  if (!value) return {};
  std::vector<std::string> words;
  if (value->is_array()) {
    for (const auto& word : *value) {
      if (!word.is_string()) json.fail(std::string("key '") + key + "' must list strings");
      words.push_back(word.get<std::string>());
    }
    return words;
  }
  std::string word;
  for (const char character : json.text(key).value() + "|") {
    if (character == '|') {
      if (!word.empty()) words.push_back(word);
      word.clear();
    } else if (character != ' ') {
      word += character >= 'A' && character <= 'Z' ? static_cast<char>(character - 'A' + 'a') : character;
    }
  }
  return words;
}

/// Refuses what would be another network under the same sizes.
void check_architecture(const ConfigJson& json, const DebertaConfig& config) {
  if (json.integer("conv_kernel_size").value_or(0) > 0) {
    json.fail(
        "conv_kernel_size asks for DeBERTa-v2's convolution layer, which is not supported; DeBERTa-v3 models do not "
        "have it");
  }
  if (json.integer("z_steps").value_or(0) > 1) {
    json.fail("z_steps > 1 runs the last layer several times, which is not supported; only one pass is");
  }
  struct Width {
    const char* key;
    std::int64_t supported;
  };
  const Width widths[] = {{"pooler_hidden_size", config.hidden_size},
                          {"attention_head_size", config.hidden_size / config.attention.num_heads}};
  for (const auto& [key, supported] : widths) {
    if (json.integer(key).value_or(supported) != supported) {
      json.fail(std::string("key '") + key + "' other than " + std::to_string(supported) +
                " is not supported with this hidden_size");
    }
  }
}

void read_position_terms(const ConfigJson& json, DebertaConfig& config) {
  ops::AttentionConfig& attention = config.attention;
  bool content_to_position = false, position_to_content = false;
  for (const std::string& kind : words_of(json, "pos_att_type")) {
    if (kind != "c2p" && kind != "p2c") {
      json.fail("pos_att_type '" + kind + "' is not supported; supported: c2p, p2c");
    }
    (kind == "c2p" ? content_to_position : position_to_content) = true;
  }
  const int num_terms = 1 + content_to_position + position_to_content;  // also counted without relative attention
  attention.scale = 1.0 / std::sqrt(static_cast<double>(attention.head_width * num_terms));
  attention.content_to_position = config.relative_attention && content_to_position;
  attention.position_to_content = config.relative_attention && position_to_content;
}

void read_relative_attention(const ConfigJson& json, DebertaConfig& config) {
  config.relative_attention = json.flag("relative_attention");
  config.share_position_projections = json.flag("share_att_key");
  read_position_terms(json, config);
  for (const std::string& kind : words_of(json, "norm_rel_ebd")) {
    if (kind == "layer_norm") {
      config.norm_relative_embeddings = true;
    } else if (kind != "none") {
      json.fail("norm_rel_ebd '" + kind + "' is not supported; supported: layer_norm, none");
    }
  }
  if (!config.relative_attention) return;
  ops::RelativeBuckets& buckets = config.attention.buckets;
  const std::int64_t largest = json.integer("max_relative_positions").value_or(-1);
  buckets.max_distance = largest < 1 ? config.max_positions : largest;
  buckets.num_buckets = std::max<std::int64_t>(json.integer("position_buckets").value_or(0), 0);
  if (buckets.num_buckets > 0 && !(buckets.num_buckets >= 2 && buckets.max_distance - 1 > buckets.num_buckets / 2)) {
    json.fail("position_buckets = " + std::to_string(buckets.num_buckets) + " cannot number distances to " +
              std::to_string(buckets.max_distance) +
              "; it must be at least 2 and its half below max_relative_positions - 1");
  }
}

}  // namespace

DebertaConfig read_deberta_config(const ConfigJson& json) {
  DebertaConfig config;
  config.vocabulary_size = required_size(json, "vocab_size");
  config.hidden_size = required_size(json, "hidden_size");
  config.num_layers = required_size(json, "num_hidden_layers");
  config.attention.num_heads = required_size(json, "num_attention_heads");
  config.intermediate_size = required_size(json, "intermediate_size");
  config.max_positions = required_size(json, "max_position_embeddings");
  if (config.hidden_size % config.attention.num_heads != 0) {
    json.fail("hidden_size does not divide by num_attention_heads");
  }
  config.attention.head_width = config.hidden_size / config.attention.num_heads;
  check_architecture(json, config);
  if (json.find("embedding_size")) {
    const std::int64_t size = required_size(json, "embedding_size");
    if (size != config.hidden_size) config.embedding_size = size;
  }
  if (json.integer("type_vocab_size").value_or(0) != 0) config.num_segments = required_size(json, "type_vocab_size");
  if (json.find("position_biased_input")) config.position_biased_input = json.flag("position_biased_input");
  read_relative_attention(json, config);
  config.hidden_activation = activation_of(json, "hidden_act");
  config.pooler_activation = activation_of(json, "pooler_hidden_act");
  config.pooler_dropout = optional_probability(json, "pooler_dropout").value_or(config.pooler_dropout);
  config.layer_norm_epsilon = small_positive(json, "layer_norm_eps", config.layer_norm_epsilon);
  config.initializer_range = small_positive(json, "initializer_range", config.initializer_range);
  config.hidden_dropout = optional_probability(json, "hidden_dropout_prob").value_or(config.hidden_dropout);
  config.attention_dropout =
      optional_probability(json, "attention_probs_dropout_prob").value_or(config.attention_dropout);
  config.classifier_dropout = optional_probability(json, "cls_dropout");
  return config;
}

}  // namespace meshfold::models
