#include "models/networks/deberta.hpp"

#include <string>
#include <vector>

#include "models/context/token_rows.hpp"
#include "models/error.hpp"
#include "models/networks/encoder_costs.hpp"
#include "models/networks/encoder_layer.hpp"
#include "models/ops/first_row_attention.hpp"
#include "models/ops/relative_embeddings.hpp"
#include "models/ops/tensor_parallel.hpp"

namespace meshfold::models {
namespace {

constexpr std::int64_t kLongestCounted = std::int64_t{1} << 20;  // a query has 20 bits in the counter of its draws
const std::string kEmbeddings = "deberta.embeddings.", kEncoder = "deberta.encoder.";

struct LayerParameters {
  LinearParameters query_key_value;
  LinearParameters query, key_value;  ///< the same as two matrices
  LinearParameters positions;         ///< of relative embeddings: query side, key side, or both as one matrix
  EncoderLayerParameters behind_attention;
};

std::string layer_prefix(std::int64_t layer) { return kEncoder + "layer." + std::to_string(layer) + "."; }

/// The layers that project relative embeddings, query side first.
std::vector<std::string> position_projections(const DebertaConfig& config, const std::string& self) {
  std::vector<std::string> names;
  const bool shared = config.share_position_projections;
  if (config.attention.position_to_content) names.push_back(self + (shared ? "query_proj" : "pos_query_proj"));
  if (config.attention.content_to_position) names.push_back(self + (shared ? "key_proj" : "pos_key_proj"));
  return names;
}

class DebertaBackbone final : public Backbone {
 public:
  DebertaBackbone(const DebertaConfig& config, const DropoutOverrides& dropout)
      : config_(config),
        hidden_dropout_(dropout.hidden.value_or(config.hidden_dropout)),
        attention_dropout_(dropout.attention.value_or(config.attention_dropout)),
        layer_config_{config.hidden_size,       config.intermediate_size,
                      config.hidden_activation, config.layer_norm_epsilon,
                      hidden_dropout_,          config.hidden_size / config.attention.num_heads} {}

  void declare(ParameterDeclaration& declare) const override;
  void bind(const ParameterStore& store, const LayerRange& range) override;
  LayerStream embed(const PackedInput& input, const ForwardContext& context) const override;
  LayerStream layer(const LayerStream& stream, std::int64_t index, Rows rows, const PackedInput& input,
                    const ForwardContext& context) const override;
  BackboneShape shape() const override {
    return {config_.num_layers, config_.hidden_size, config_.attention.num_heads, config_.vocabulary_size,
            config_.position_biased_input ? config_.max_positions : kLongestCounted};
  }
  PoolerConfig pooler() const override { return {"pooler.dense", config_.pooler_activation, config_.pooler_dropout}; }
  DropoutOverrides dropout() const override { return {hidden_dropout_, attention_dropout_}; }
  double classifier_dropout() const override { return config_.classifier_dropout.value_or(hidden_dropout_); }
  double initializer_range() const override { return config_.initializer_range; }
  std::vector<LayoutRule> layout() const override;
  std::int64_t relative_rows(std::int64_t longest) const override {
    return config_.attention.has_positions() ? slot_rows(longest).count : 0;
  }
  ops::BlockCosts embedding_costs(const PackOnRank& pack) const override {
    return encoder_embedding_costs(words_, config_.hidden_size, pack);
  }
  ops::BlockCosts layer_costs(std::int64_t index, Rows rows, const PackOnRank& pack) const override {
    const LayerParameters& p = layers_[static_cast<std::size_t>(index)];
    return encoder_layer_costs(p.query_key_value, p.positions, p.behind_attention, layer_config_, rows, pack);
  }
  TokenWork token_work() const override { return encoder_work(layer_config_); }
  std::uint64_t input_cost(std::uint64_t length) const override {
    return encoder_input_cost(length, static_cast<std::uint64_t>(config_.hidden_size));
  }
  std::string description() const override { return "DeBERTa, " + shape_in_words(shape()); }

 private:
  void check_cuts(const LayerParameters& layer, const std::string& prefix) const;
  void declare_layer(ParameterDeclaration& declare, std::int64_t layer) const;
  LayerParameters find_layer(const ParameterStore& store, std::int64_t layer) const;
  ops::SlotRows slot_rows(std::int64_t longest) const;
  at::Tensor project_positions(const at::Tensor& relative, const ops::SlotRows& rows, std::int64_t index,
                               const ForwardContext& context) const;
  LayerStream layer_of_first_tokens(const LayerStream& stream, std::int64_t index, const PackedInput& input,
                                    const ForwardContext& context) const;

  DebertaConfig config_;
  double hidden_dropout_, attention_dropout_;
  EncoderLayerConfig layer_config_;
  ParameterView words_, positions_, segments_, relative_;
  ParameterView projection_;  ///< of the embeddings to the hidden size, where their tables have another width
  NormParameters embedding_norm_, relative_norm_;
  std::vector<LayerParameters> layers_;  ///< those of other stages have no views
};

void DebertaBackbone::declare(ParameterDeclaration& declare) const {
  const std::int64_t hidden = config_.hidden_size, width = config_.embedding_size.value_or(hidden);
  declare.weight(kEmbeddings + "word_embeddings", config_.vocabulary_size, width, ComputeCopy::kNo);
  if (config_.position_biased_input)
    declare.weight(kEmbeddings + "position_embeddings", config_.max_positions, width, ComputeCopy::kNo);
  if (config_.num_segments > 0)
    declare.weight(kEmbeddings + "token_type_embeddings", config_.num_segments, width, ComputeCopy::kNo);
  if (config_.embedding_size) declare.weight(kEmbeddings + "embed_proj", hidden, width, ComputeCopy::kYes);
  declare.norm(kEmbeddings + "LayerNorm", hidden);
  if (config_.relative_attention)
    declare.weight(kEncoder + "rel_embeddings", 2 * config_.attention.buckets.span(), hidden, ComputeCopy::kNo);
  if (config_.norm_relative_embeddings) declare.norm(kEncoder + "LayerNorm", hidden);
  for (std::int64_t layer = 0; layer < config_.num_layers; ++layer) declare_layer(declare, layer);
}

void DebertaBackbone::declare_layer(ParameterDeclaration& declare, std::int64_t layer) const {
  const std::string prefix = layer_prefix(layer), self = prefix + "attention.self.";
  const std::int64_t hidden = config_.hidden_size;
  const auto declare_fused = [&](const std::vector<std::string>& names) {
    const std::int64_t head_width = layer_config_.head_width;
    for (const std::string& name : names) {
      declare.weight(name, hidden, hidden, ComputeCopy::kYes, {head_width, 1});
    }
    for (const std::string& name : names) declare.bias(name, hidden, {head_width});
  };
  declare_fused({self + "query_proj", self + "key_proj", self + "value_proj"});
  if (!config_.share_position_projections) declare_fused(position_projections(config_, self));
  declare_encoder_layer(declare, layer_config_, prefix);
}

LayerParameters DebertaBackbone::find_layer(const ParameterStore& store, std::int64_t layer) const {
  const std::string prefix = layer_prefix(layer), self = prefix + "attention.self.";
  LayerParameters parameters;
  parameters.query_key_value = find_fused_linear(store, {self + "query_proj", self + "key_proj", self + "value_proj"});
  parameters.query = find_linear(store, self + "query_proj");
  parameters.key_value = find_fused_linear(store, {self + "key_proj", self + "value_proj"});
  if (config_.attention.has_positions())
    parameters.positions = find_fused_linear(store, position_projections(config_, self));
  parameters.behind_attention = find_encoder_layer(store, prefix);
  return parameters;
}

void DebertaBackbone::bind(const ParameterStore& store, const LayerRange& range) {
  if (range.first == 0) {
    words_ = store.view(kEmbeddings + "word_embeddings.weight");
    if (config_.position_biased_input) positions_ = store.view(kEmbeddings + "position_embeddings.weight");
    if (config_.num_segments > 0) segments_ = store.view(kEmbeddings + "token_type_embeddings.weight");
    if (config_.embedding_size) projection_ = store.view(kEmbeddings + "embed_proj.weight");
    embedding_norm_ = find_linear(store, kEmbeddings + "LayerNorm");
    if (config_.relative_attention) relative_ = store.view(kEncoder + "rel_embeddings.weight");
    if (config_.norm_relative_embeddings) relative_norm_ = find_linear(store, kEncoder + "LayerNorm");
    check_embedding_cuts(words_, {positions_, segments_, projection_, embedding_norm_.weight, embedding_norm_.bias,
                                  relative_, relative_norm_.weight, relative_norm_.bias});
  }
  layers_.assign(static_cast<std::size_t>(config_.num_layers), {});
  for (std::int64_t layer = range.first; layer < range.end; ++layer) {
    LayerParameters& p = layers_[static_cast<std::size_t>(layer)];
    p = find_layer(store, layer);
    check_cuts(p, layer_prefix(layer));
  }
}

/// As BERT. Each rank projects the embeddings of its own rows by the whole matrix. Relative embeddings are whole; their
/// projections are cut by heads as those of the hidden states.
std::vector<LayoutRule> DebertaBackbone::layout() const {
  return parse_layout_rules(
      R"(deberta\.embeddings\.word_embeddings\.weight -> tensor~, -;
         deberta\.encoder\.layer\.\d+\.attention\.self\.(query|key|value)_proj\.weight -> tensor, -;
         deberta\.encoder\.layer\.\d+\.attention\.self\.(query|key|value)_proj\.bias -> tensor;
         optional deberta\.encoder\.layer\.\d+\.attention\.self\.pos_(query|key)_proj\.weight -> tensor, -;
         optional deberta\.encoder\.layer\.\d+\.attention\.self\.pos_(query|key)_proj\.bias -> tensor;
         deberta\.encoder\.layer\.\d+\.attention\.output\.dense\.weight -> -, tensor;
         deberta\.encoder\.layer\.\d+\.intermediate\.dense\.weight -> tensor, -;
         deberta\.encoder\.layer\.\d+\.intermediate\.dense\.bias -> tensor;
         deberta\.encoder\.layer\.\d+\.output\.dense\.weight -> -, tensor)");
}

void DebertaBackbone::check_cuts(const LayerParameters& layer, const std::string& prefix) const {
  check_layer_cuts(layer.query_key_value, layer.behind_attention, layer_config_, prefix);
  const bool cut = layer.query_key_value.weight.sharded;
  if (config_.attention.has_positions() &&
      (layer.positions.weight.sharded != cut || layer.positions.bias.sharded != cut)) {
    throw LayoutError("layout: " + prefix + "attention.self.*_proj must all be cut over heads");
  }
}

/// Rows of the table of relative embeddings that inputs of at most `longest` tokens touch.
ops::SlotRows DebertaBackbone::slot_rows(std::int64_t longest) const {
  const ops::RelativeSlots slots(config_.attention.buckets, longest);
  return {slots.first(), slots.count()};
}

LayerStream DebertaBackbone::embed(const PackedInput& input, const ForwardContext& context) const {
  at::Tensor sum = ops::sum_embeddings(input, words_, positions_, segments_, context);
  if (config_.embedding_size) sum = ops::linear(sum, projection_, {}, ops::Activation::kNone, context);
  LayerStream stream;
  stream.hidden = ops::norm(sum, embedding_norm_.weight, embedding_norm_.bias, config_.layer_norm_epsilon,
                            {hidden_dropout_, 0}, input, context);
  if (config_.attention.has_positions()) {
    stream.relative = ops::relative_embeddings(relative_, slot_rows(ops::longest_input(input)), relative_norm_.weight,
                                               relative_norm_.bias, config_.layer_norm_epsilon, context);
  }
  return stream;
}

/// Relative embeddings of the slots `rows` as layer `index` meets them; undefined where there are none.
at::Tensor DebertaBackbone::project_positions(const at::Tensor& relative, const ops::SlotRows& rows, std::int64_t index,
                                              const ForwardContext& context) const {
  if (!relative.defined()) return {};
  const LinearParameters& projections = layers_[static_cast<std::size_t>(index)].positions;
  const ops::DropoutSite site{hidden_dropout_, static_cast<std::uint16_t>(1 + 2 * index)};
  const at::Tensor dropped = ops::dropout_slots(relative, rows, site, context);
  return ops::linear(dropped, projections.weight, projections.bias, ops::Activation::kNone, context);
}

LayerStream DebertaBackbone::layer_of_first_tokens(const LayerStream& stream, std::int64_t index,
                                                   const PackedInput& input, const ForwardContext& context) const {
  using ops::Activation;
  const LayerParameters& p = layers_[static_cast<std::size_t>(index)];
  at::Tensor positions;
  if (stream.relative.defined()) {
    const std::int64_t longest = ops::longest_input(input);
    const std::int64_t touched = ops::first_row_slots(config_.attention.buckets, longest);
    const at::Tensor relative = stream.relative.narrow(0, 0, touched);
    positions = project_positions(relative, {slot_rows(longest).first, touched}, index, context);
  }
  const at::Tensor hidden = ops::pool_cls(stream.hidden, input);
  const at::Tensor query = ops::linear(hidden, p.query.weight, p.query.bias, Activation::kNone, context);
  const at::Tensor key_value =
      ops::linear(stream.hidden, p.key_value.weight, p.key_value.bias, Activation::kNone, context);
  const ops::DropoutSite site{attention_dropout_, static_cast<std::uint16_t>(index)};
  const at::Tensor mixed =
      ops::first_row_attention(query, key_value, positions, config_.attention, site, input, context);
  return {encoder_layer(mixed, hidden, p.behind_attention, layer_config_, index, first_tokens(input), context),
          stream.relative};
}

LayerStream DebertaBackbone::layer(const LayerStream& stream, std::int64_t index, Rows rows, const PackedInput& input,
                                   const ForwardContext& context) const {
  if (rows == Rows::kFirst) return layer_of_first_tokens(stream, index, input, context);
  const LayerParameters& p = layers_[static_cast<std::size_t>(index)];
  const at::Tensor positions = project_positions(stream.relative, slot_rows(ops::longest_input(input)), index, context);
  const ParameterView& weight = p.query_key_value.weight;
  if (!weight.sharded && on_tensor_axis(context)) {
    throw LayoutError("layout: DeBERTa's attention must be cut over heads on a tensor axis");
  }
  const at::Tensor qkv = ops::column_parallel_linear(stream.hidden, weight, p.query_key_value.bias, input, context);
  ops::DisentangledConfig attention = config_.attention;
  attention.num_heads = qkv.size(1) / 3 / layer_config_.head_width;  // this rank's
  const ops::DropoutSite site{attention_dropout_, static_cast<std::uint16_t>(index),
                              weight.first_row / layer_config_.head_width};
  const at::Tensor mixed = ops::disentangled_attention(qkv, positions, attention, site, input, context);
  return {encoder_layer(mixed, stream.hidden, p.behind_attention, layer_config_, index, input, context),
          stream.relative};
}

}  // namespace

std::unique_ptr<Backbone> make_deberta_backbone(const DebertaConfig& config, const DropoutOverrides& dropout) {
  return std::make_unique<DebertaBackbone>(config, dropout);
}

}  // namespace meshfold::models
