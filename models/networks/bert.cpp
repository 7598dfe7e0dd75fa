#include "models/networks/bert.hpp"

#include <cmath>
#include <string>
#include <vector>

#include "models/networks/config_values.hpp"
#include "models/networks/encoder_costs.hpp"
#include "models/networks/encoder_layer.hpp"
#include "models/ops/attention.hpp"
#include "models/ops/linear.hpp"
#include "models/ops/pooling.hpp"
#include "models/ops/tensor_parallel.hpp"

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

struct LayerParameters {
  Linear query_key_value;
  Linear query, key_value;  ///< the same as two matrices
  EncoderLayerParameters behind_attention;
};

std::string layer_prefix(std::int64_t layer) { return "bert.encoder.layer." + std::to_string(layer) + "."; }

void declare_layer(const ParameterDeclaration& declare, const EncoderLayerConfig& config, const std::string& prefix) {
  const std::int64_t hidden = config.hidden_size;
  const std::string self = prefix + "attention.self.";
  declare.fused_linears({self + "query", self + "key", self + "value"},
                        {.role = Role::kQueryKeyValue, .out = hidden, .in = hidden, .out_unit = config.head_width});
  declare_encoder_layer(declare, config, prefix);
}

LayerParameters find_layer(const ParameterStore& store, const EncoderLayerConfig& config, const std::string& prefix) {
  const std::string self = prefix + "attention.self.";
  return {.query_key_value = find_fused_linear(store, {self + "query", self + "key", self + "value"}),
          .query = find_linear(store, self + "query"),
          .key_value = find_fused_linear(store, {self + "key", self + "value"}),
          .behind_attention = find_encoder_layer(store, config, prefix)};
}

class BertBackbone final : public Backbone {
 public:
  BertBackbone(const BertConfig& config, const DropoutOverrides& dropout)
      : config_(config),
        hidden_dropout_(dropout.hidden.value_or(config.hidden_dropout)),
        attention_dropout_(dropout.attention.value_or(config.attention_dropout)),
        layer_config_{config.hidden_size,        config.intermediate_size, config.hidden_activation,
                      config.layer_norm_epsilon, hidden_dropout_,          config.hidden_size / config.num_heads} {}

  void declare(const ParameterDeclaration& declare) const override;
  void bind(const ParameterStore& store, const LayerRange& range) override;
  LayerStream embed(const PackedInput& input, const ForwardContext& context) const override;
  LayerStream layer(const LayerStream& stream, std::int64_t index, QueryRows rows, const PackedInput& input,
                    const ForwardContext& context) const override;
  BackboneShape shape() const override {
    return {config_.num_layers, config_.hidden_size, config_.num_heads, config_.vocabulary_size, config_.max_positions};
  }
  ops::BlockCosts embedding_costs(const PackOnRank& pack) const override {
    return encoder_embedding_costs(tables_.words, config_.hidden_size, pack);
  }
  ops::BlockCosts layer_costs(std::int64_t index, QueryRows rows, const PackOnRank& pack) const override {
    const LayerParameters& p = layers_[static_cast<std::size_t>(index)];
    return encoder_layer_costs(p.query_key_value, {}, p.behind_attention, layer_config_, rows, pack);
  }
  TokenWork token_work() const override { return encoder_work(layer_config_); }
  std::uint64_t input_cost(std::uint64_t length) const override {
    return encoder_input_cost(length, static_cast<std::uint64_t>(config_.hidden_size));
  }
  PoolerConfig pooler() const override { return {"bert.pooler.dense", ops::Activation::kTanh, 0.0}; }
  DropoutOverrides dropout() const override { return {hidden_dropout_, attention_dropout_}; }
  double classifier_dropout() const override { return config_.classifier_dropout.value_or(hidden_dropout_); }
  double initializer_range() const override { return config_.initializer_range; }
  std::vector<LayoutRule> layout() const override;
  std::string description() const override { return "BERT, " + shape_in_words(shape()); }

 private:
  at::Tensor attend(const at::Tensor& hidden, const Linear& query_key_value, std::int64_t index,
                    const PackedInput& input, const ForwardContext& context) const;

  LayerStream layer_of_first_tokens(const LayerStream& stream, std::int64_t index, const PackedInput& input,
                                    const ForwardContext& context) const;

  BertConfig config_;
  double hidden_dropout_, attention_dropout_;
  EncoderLayerConfig layer_config_;
  ops::EmbeddingTables tables_;
  Norm embedding_norm_;
  std::vector<LayerParameters> layers_;  ///< those of other stages have no views
};

void BertBackbone::declare(const ParameterDeclaration& declare) const {
  const std::string embeddings = "bert.embeddings.";
  declare.table(embeddings + "word_embeddings", config_.vocabulary_size, config_.hidden_size);
  declare.table(embeddings + "position_embeddings", config_.max_positions, config_.hidden_size);
  declare.table(embeddings + "token_type_embeddings", config_.num_segments, config_.hidden_size);
  declare.norm(embeddings + "LayerNorm", config_.hidden_size);
  for (std::int64_t layer = 0; layer < config_.num_layers; ++layer) {
    declare_layer(declare.in_layer(layer), layer_config_, layer_prefix(layer));
  }
}

/// Heads, the width of the feed-forward block and the vocabulary are cut. A matrix whose columns are cut along dim 1
/// follows one whose rows are cut, so that nothing is exchanged between the two.
std::vector<LayoutRule> BertBackbone::layout() const {
  return parse_layout_rules(
      R"(bert\.embeddings\.word_embeddings\.weight -> tensor~, -;
         bert\.encoder\.layer\.\d+\.attention\.self\.(query|key|value)\.weight -> tensor, -;
         bert\.encoder\.layer\.\d+\.attention\.self\.(query|key|value)\.bias -> tensor;
         bert\.encoder\.layer\.\d+\.attention\.output\.dense\.weight -> -, tensor;
         bert\.encoder\.layer\.\d+\.intermediate\.dense\.weight -> tensor, -;
         bert\.encoder\.layer\.\d+\.intermediate\.dense\.bias -> tensor;
         bert\.encoder\.layer\.\d+\.output\.dense\.weight -> -, tensor)");
}

void BertBackbone::bind(const ParameterStore& store, const LayerRange& range) {
  if (range.first == 0) {
    tables_ = {.words = store.view("bert.embeddings.word_embeddings.weight"),
               .positions = store.view("bert.embeddings.position_embeddings.weight"),
               .segments = store.view("bert.embeddings.token_type_embeddings.weight")};
    embedding_norm_ = find_norm(store, "bert.embeddings.LayerNorm", config_.layer_norm_epsilon);
    check_embedding_cuts(tables_, {embedding_norm_.weight, embedding_norm_.bias});
  }
  layers_.assign(static_cast<std::size_t>(config_.num_layers), {});
  for (std::int64_t layer = range.first; layer < range.end; ++layer) {
    const std::string prefix = layer_prefix(layer);
    LayerParameters& p = layers_[static_cast<std::size_t>(layer)];
    p = find_layer(store, layer_config_, prefix);
    check_layer_cuts(p.query_key_value, p.behind_attention, layer_config_, prefix);
  }
}

LayerStream BertBackbone::embed(const PackedInput& input, const ForwardContext& context) const {
  return {ops::embed(input, tables_, embedding_norm_, {hidden_dropout_, 0}, context), {}};
}

/// What goes into the output projection: of this rank's heads and all rows where the projections are cut, else of all
/// heads and this rank's rows.
at::Tensor BertBackbone::attend(const at::Tensor& hidden, const Linear& query_key_value, std::int64_t index,
                                const PackedInput& input, const ForwardContext& context) const {
  const ParameterView& weight = query_key_value.weight;
  const std::int64_t head_width = layer_config_.head_width;
  const ops::DropoutSite dropout{attention_dropout_, static_cast<std::uint16_t>(index), weight.first_row / head_width};
  const at::Tensor qkv = ops::column_parallel_linear(hidden, query_key_value, input, context);
  const auto attend_to = [&](const at::Tensor& rows) {
    const ops::AttentionConfig attention{.num_heads = rows.size(1) / 3 / head_width, .head_width = head_width};
    return ops::attention({.query_key_value = {rows}}, attention, dropout, input, context);
  };
  if (weight.sharded) return attend_to(qkv);
  const at::Tensor all = ops::gather_rows(qkv, ops::Use::kAlike, qkv.scalar_type(), input, context);
  return ops::own_rows(attend_to(all), input, context);
}

LayerStream BertBackbone::layer_of_first_tokens(const LayerStream& stream, std::int64_t index, const PackedInput& input,
                                                const ForwardContext& context) const {
  const LayerParameters& p = layers_[static_cast<std::size_t>(index)];
  const at::Tensor hidden = ops::pool_cls(stream.hidden, input);
  const at::Tensor query = ops::linear(hidden, p.query, ops::Activation::kNone, context);
  const at::Tensor key_value = ops::linear(stream.hidden, p.key_value, ops::Activation::kNone, context);
  const ops::DropoutSite dropout{attention_dropout_, static_cast<std::uint16_t>(index)};
  const std::int64_t head_width = layer_config_.head_width;
  // Rounded once, from double: for some widths one bit apart from attend()'s, and part of the numerics contract.
  const ops::AttentionConfig attention{.num_heads = config_.num_heads,
                                       .head_width = head_width,
                                       .scale = 1.0 / std::sqrt(static_cast<double>(head_width)),
                                       .queries = QueryRows::kFirst};
  const at::Tensor mixed = ops::attention({.query_key_value = {query, key_value}}, attention, dropout, input, context);
  return {encoder_layer(mixed, hidden, p.behind_attention, layer_config_, index, first_tokens(input), context),
          stream.relative};
}

LayerStream BertBackbone::layer(const LayerStream& stream, std::int64_t index, QueryRows rows, const PackedInput& input,
                                const ForwardContext& context) const {
  if (rows == QueryRows::kFirst) return layer_of_first_tokens(stream, index, input, context);
  const LayerParameters& p = layers_[static_cast<std::size_t>(index)];
  const at::Tensor mixed = attend(stream.hidden, p.query_key_value, index, input, context);
  return {encoder_layer(mixed, stream.hidden, p.behind_attention, layer_config_, index, input, context),
          stream.relative};
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

std::unique_ptr<Backbone> make_bert_backbone(const BertConfig& config, const DropoutOverrides& dropout) {
  return std::make_unique<BertBackbone>(config, dropout);
}

}  // namespace meshfold::models
