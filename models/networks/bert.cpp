#include "models/networks/bert.hpp"

#include <string>
#include <vector>

#include "models/networks/encoder_costs.hpp"
#include "models/networks/encoder_layer.hpp"
#include "models/networks/sequence_model.hpp"
#include "models/ops/first_row_attention.hpp"
#include "models/ops/tensor_parallel.hpp"

namespace meshfold::models {
namespace {

struct LayerParameters {
  LinearParameters query_key_value;
  LinearParameters query, key_value;  ///< the same as two matrices
  EncoderLayerParameters behind_attention;
};

std::string layer_prefix(std::int64_t layer) { return "bert.encoder.layer." + std::to_string(layer) + "."; }

void declare_layer(ParameterDeclaration& declare, const EncoderLayerConfig& config, std::int64_t layer) {
  const std::string prefix = layer_prefix(layer);
  const std::int64_t hidden = config.hidden_size;
  const char* const projections[] = {"attention.self.query", "attention.self.key", "attention.self.value"};
  for (const char* name : projections) {
    declare.weight(prefix + name, hidden, hidden, ComputeCopy::kYes, {config.head_width, 1});
  }
  for (const char* name : projections) declare.bias(prefix + name, hidden, {config.head_width});
  declare_encoder_layer(declare, config, prefix);
}

LayerParameters find_layer(const ParameterStore& store, std::int64_t layer) {
  const std::string prefix = layer_prefix(layer), self = prefix + "attention.self.";
  return {.query_key_value = find_fused_linear(store, {self + "query", self + "key", self + "value"}),
          .query = find_linear(store, self + "query"),
          .key_value = find_fused_linear(store, {self + "key", self + "value"}),
          .behind_attention = find_encoder_layer(store, prefix)};
}

class BertBackbone final : public Backbone {
 public:
  BertBackbone(const BertConfig& config, const DropoutOverrides& dropout)
      : config_(config),
        hidden_dropout_(dropout.hidden.value_or(config.hidden_dropout)),
        attention_dropout_(dropout.attention.value_or(config.attention_dropout)),
        layer_config_{config.hidden_size,        config.intermediate_size, config.hidden_activation,
                      config.layer_norm_epsilon, hidden_dropout_,          config.hidden_size / config.num_heads} {}

  void declare(ParameterDeclaration& declare) const override;
  void bind(const ParameterStore& store, const LayerRange& range) override;
  LayerStream embed(const PackedInput& input, const ForwardContext& context) const override;
  LayerStream layer(const LayerStream& stream, std::int64_t index, Rows rows, const PackedInput& input,
                    const ForwardContext& context) const override;
  BackboneShape shape() const override {
    return {config_.num_layers, config_.hidden_size, config_.num_heads, config_.vocabulary_size, config_.max_positions};
  }
  ops::BlockCosts embedding_costs(const PackOnRank& pack) const override {
    return encoder_embedding_costs(words_, config_.hidden_size, pack);
  }
  ops::BlockCosts layer_costs(std::int64_t index, Rows rows, const PackOnRank& pack) const override {
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
  at::Tensor attend(const at::Tensor& hidden, const LinearParameters& query_key_value, std::int64_t index,
                    const PackedInput& input, const ForwardContext& context) const;

  LayerStream layer_of_first_tokens(const LayerStream& stream, std::int64_t index, const PackedInput& input,
                                    const ForwardContext& context) const;

  BertConfig config_;
  double hidden_dropout_, attention_dropout_;
  EncoderLayerConfig layer_config_;
  ParameterView words_, positions_, segments_;
  NormParameters embedding_norm_;
  std::vector<LayerParameters> layers_;  ///< those of other stages have no views
};

void BertBackbone::declare(ParameterDeclaration& declare) const {
  const std::string embeddings = "bert.embeddings.";
  declare.weight(embeddings + "word_embeddings", config_.vocabulary_size, config_.hidden_size, ComputeCopy::kNo);
  declare.weight(embeddings + "position_embeddings", config_.max_positions, config_.hidden_size, ComputeCopy::kNo);
  declare.weight(embeddings + "token_type_embeddings", config_.num_segments, config_.hidden_size, ComputeCopy::kNo);
  declare.norm(embeddings + "LayerNorm", config_.hidden_size);
  for (std::int64_t layer = 0; layer < config_.num_layers; ++layer) declare_layer(declare, layer_config_, layer);
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
    words_ = store.view("bert.embeddings.word_embeddings.weight");
    positions_ = store.view("bert.embeddings.position_embeddings.weight");
    segments_ = store.view("bert.embeddings.token_type_embeddings.weight");
    embedding_norm_ = find_linear(store, "bert.embeddings.LayerNorm");
    check_embedding_cuts(words_, {positions_, segments_, embedding_norm_.weight, embedding_norm_.bias});
  }
  layers_.assign(static_cast<std::size_t>(config_.num_layers), {});
  for (std::int64_t layer = range.first; layer < range.end; ++layer) {
    LayerParameters& p = layers_[static_cast<std::size_t>(layer)];
    p = find_layer(store, layer);
    check_layer_cuts(p.query_key_value, p.behind_attention, layer_config_, layer_prefix(layer));
  }
}

LayerStream BertBackbone::embed(const PackedInput& input, const ForwardContext& context) const {
  return {ops::embed(input, words_, positions_, segments_, embedding_norm_.weight, embedding_norm_.bias,
                     config_.layer_norm_epsilon, {hidden_dropout_, 0}, context),
          {}};
}

/// What goes into the output projection: of this rank's heads and all rows where the projections are cut, else of all
/// heads and this rank's rows.
at::Tensor BertBackbone::attend(const at::Tensor& hidden, const LinearParameters& query_key_value, std::int64_t index,
                                const PackedInput& input, const ForwardContext& context) const {
  const ParameterView& weight = query_key_value.weight;
  const std::int64_t head_width = layer_config_.head_width;
  const ops::DropoutSite dropout{attention_dropout_, static_cast<std::uint16_t>(index), weight.first_row / head_width};
  const at::Tensor qkv = ops::column_parallel_linear(hidden, weight, query_key_value.bias, input, context);
  if (weight.sharded) return ops::attention(qkv, qkv.size(1) / 3 / head_width, dropout, input, context);
  const at::Tensor all = ops::gather_rows(qkv, ops::Use::kAlike, qkv.scalar_type(), input, context);
  return ops::own_rows(ops::attention(all, config_.num_heads, dropout, input, context), input, context);
}

LayerStream BertBackbone::layer_of_first_tokens(const LayerStream& stream, std::int64_t index, const PackedInput& input,
                                                const ForwardContext& context) const {
  using ops::Activation;
  const LayerParameters& p = layers_[static_cast<std::size_t>(index)];
  const at::Tensor hidden = ops::pool_cls(stream.hidden, input);
  const at::Tensor query = ops::linear(hidden, p.query.weight, p.query.bias, Activation::kNone, context);
  const at::Tensor key_value =
      ops::linear(stream.hidden, p.key_value.weight, p.key_value.bias, Activation::kNone, context);
  const ops::DropoutSite dropout{attention_dropout_, static_cast<std::uint16_t>(index)};
  const at::Tensor mixed =
      ops::first_row_attention(query, key_value, {}, {.num_heads = config_.num_heads}, dropout, input, context);
  return {encoder_layer(mixed, hidden, p.behind_attention, layer_config_, index, first_tokens(input), context),
          stream.relative};
}

LayerStream BertBackbone::layer(const LayerStream& stream, std::int64_t index, Rows rows, const PackedInput& input,
                                const ForwardContext& context) const {
  if (rows == Rows::kFirst) return layer_of_first_tokens(stream, index, input, context);
  const LayerParameters& p = layers_[static_cast<std::size_t>(index)];
  const at::Tensor mixed = attend(stream.hidden, p.query_key_value, index, input, context);
  return {encoder_layer(mixed, stream.hidden, p.behind_attention, layer_config_, index, input, context),
          stream.relative};
}

}  // namespace

std::unique_ptr<Backbone> make_bert_backbone(const BertConfig& config, const DropoutOverrides& dropout) {
  return std::make_unique<BertBackbone>(config, dropout);
}

std::unique_ptr<Model> make_bert(const BertConfig& config, const HeadConfig& head, const DropoutOverrides& dropout,
                                 at::ScalarType compute_type, const ModelLayout& layout) {
  return make_sequence_model(make_bert_backbone(config, dropout), head, compute_type, layout);
}

}  // namespace meshfold::models
