#include "models/networks/deberta.hpp"

#include <string>
#include <vector>

#include "models/context/token_rows.hpp"
#include "models/error.hpp"
#include "models/networks/encoder_costs.hpp"
#include "models/networks/encoder_layer.hpp"
#include "models/ops/attention.hpp"
#include "models/ops/linear.hpp"
#include "models/ops/norm.hpp"
#include "models/ops/pooling.hpp"
#include "models/ops/tensor_parallel.hpp"

namespace meshfold::models {
namespace {

constexpr std::int64_t kLongestCounted = std::int64_t{1} << 20;  // a query has 20 bits in the counter of its draws
const std::string kEmbeddings = "deberta.embeddings.", kEncoder = "deberta.encoder.";

struct LayerParameters {
  Linear query_key_value;
  Linear query, key_value;  ///< the same as two matrices
  Linear positions;         ///< of relative embeddings: query side, key side, or both as one matrix
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

  void declare(const ParameterDeclaration& declare) const override;
  void bind(const ParameterStore& store, const LayerRange& range) override;
  LayerStream embed(const PackedInput& input, const ForwardContext& context) const override;
  LayerStream layer(const LayerStream& stream, std::int64_t index, QueryRows rows, const PackedInput& input,
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
    return encoder_embedding_costs(tables_.words, config_.hidden_size, pack);
  }
  ops::BlockCosts layer_costs(std::int64_t index, QueryRows rows, const PackOnRank& pack) const override {
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
  void declare_layer(const ParameterDeclaration& declare, const std::string& prefix) const;
  LayerParameters find_layer(const ParameterStore& store, const std::string& prefix) const;
  ops::SlotRows slot_rows(std::int64_t longest) const;
  at::Tensor project_positions(const at::Tensor& relative, const ops::SlotRows& rows, std::int64_t index,
                               const ForwardContext& context) const;
  LayerStream layer_of_first_tokens(const LayerStream& stream, std::int64_t index, const PackedInput& input,
                                    const ForwardContext& context) const;

  DebertaConfig config_;
  double hidden_dropout_, attention_dropout_;
  EncoderLayerConfig layer_config_;
  ops::EmbeddingTables tables_;
  ParameterView relative_;  ///< table of relative embeddings
  Linear projection_;       ///< of the embeddings to the hidden size, where their tables have another width
  Norm embedding_norm_, relative_norm_;
  std::vector<LayerParameters> layers_;  ///< those of other stages have no views
};

void DebertaBackbone::declare(const ParameterDeclaration& declare) const {
  const std::int64_t hidden = config_.hidden_size, width = config_.embedding_size.value_or(hidden);
  declare.table(kEmbeddings + "word_embeddings", config_.vocabulary_size, width);
  if (config_.position_biased_input) declare.table(kEmbeddings + "position_embeddings", config_.max_positions, width);
  if (config_.num_segments > 0) declare.table(kEmbeddings + "token_type_embeddings", config_.num_segments, width);
  if (config_.embedding_size) {
    declare.linear(kEmbeddings + "embed_proj",
                   {.role = Role::kEmbedding, .out = hidden, .in = width, .bias = Bias::kNo});
  }
  declare.norm(kEmbeddings + "LayerNorm", hidden);
  if (config_.relative_attention) {
    declare.table(kEncoder + "rel_embeddings", 2 * config_.attention.buckets.span(), hidden);
  }
  if (config_.norm_relative_embeddings) declare.norm(kEncoder + "LayerNorm", hidden);
  for (std::int64_t layer = 0; layer < config_.num_layers; ++layer) {
    declare_layer(declare.in_layer(layer), layer_prefix(layer));
  }
}

void DebertaBackbone::declare_layer(const ParameterDeclaration& declare, const std::string& prefix) const {
  const std::string self = prefix + "attention.self.";
  const std::int64_t hidden = config_.hidden_size;
  const LinearSpec projection{
      .role = Role::kQueryKeyValue, .out = hidden, .in = hidden, .out_unit = layer_config_.head_width};
  declare.fused_linears({self + "query_proj", self + "key_proj", self + "value_proj"}, projection);
  if (!config_.share_position_projections) declare.fused_linears(position_projections(config_, self), projection);
  declare_encoder_layer(declare, layer_config_, prefix);
}

LayerParameters DebertaBackbone::find_layer(const ParameterStore& store, const std::string& prefix) const {
  const std::string self = prefix + "attention.self.";
  LayerParameters parameters;
  parameters.query_key_value = find_fused_linear(store, {self + "query_proj", self + "key_proj", self + "value_proj"});
  parameters.query = find_linear(store, self + "query_proj");
  parameters.key_value = find_fused_linear(store, {self + "key_proj", self + "value_proj"});
  if (config_.attention.has_positions())
    parameters.positions = find_fused_linear(store, position_projections(config_, self));
  parameters.behind_attention = find_encoder_layer(store, layer_config_, prefix);
  return parameters;
}

void DebertaBackbone::bind(const ParameterStore& store, const LayerRange& range) {
  if (range.first == 0) {
    const double epsilon = config_.layer_norm_epsilon;
    tables_.words = store.view(kEmbeddings + "word_embeddings.weight");
    if (config_.position_biased_input) tables_.positions = store.view(kEmbeddings + "position_embeddings.weight");
    if (config_.num_segments > 0) tables_.segments = store.view(kEmbeddings + "token_type_embeddings.weight");
    if (config_.embedding_size) projection_ = find_linear(store, kEmbeddings + "embed_proj");
    embedding_norm_ = find_norm(store, kEmbeddings + "LayerNorm", epsilon);
    if (config_.relative_attention) relative_ = store.view(kEncoder + "rel_embeddings.weight");
    if (config_.norm_relative_embeddings) relative_norm_ = find_norm(store, kEncoder + "LayerNorm", epsilon);
    check_embedding_cuts(tables_, {projection_.weight, embedding_norm_.weight, embedding_norm_.bias, relative_,
                                   relative_norm_.weight, relative_norm_.bias});
  }
  layers_.assign(static_cast<std::size_t>(config_.num_layers), {});
  for (std::int64_t layer = range.first; layer < range.end; ++layer) {
    const std::string prefix = layer_prefix(layer);
    LayerParameters& p = layers_[static_cast<std::size_t>(layer)];
    p = find_layer(store, prefix);
    check_cuts(p, prefix);
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
  const auto& [weight, bias] = layer.positions;
  const bool cut_alike = weight.sharded == cut && (bias.sharded == cut || !bias.defined());
  if (config_.attention.has_positions() && !cut_alike) {
    throw LayoutError("layout: " + prefix + "attention.self.*_proj must all be cut over heads");
  }
}

/// Rows of the table of relative embeddings that inputs of at most `longest` tokens touch.
ops::SlotRows DebertaBackbone::slot_rows(std::int64_t longest) const {
  const ops::RelativeSlots slots(config_.attention.buckets, longest);
  return {slots.first(), slots.count()};
}

LayerStream DebertaBackbone::embed(const PackedInput& input, const ForwardContext& context) const {
  at::Tensor sum = ops::sum_embeddings(input, tables_, context);
  if (config_.embedding_size) sum = ops::linear(sum, projection_, ops::Activation::kNone, context);
  LayerStream stream;
  stream.hidden = ops::norm(sum, embedding_norm_, {hidden_dropout_, 0}, input, context);
  if (config_.attention.has_positions()) {
    stream.relative = ops::relative_embeddings(relative_, slot_rows(ops::longest_input(input)), context);
    if (config_.norm_relative_embeddings) {
      stream.relative = ops::norm(stream.relative, relative_norm_, /*dropout=*/{}, input, context);
    }
  }
  return stream;
}

/// Relative embeddings of the slots `rows` as layer `index` meets them; undefined where there are none.
at::Tensor DebertaBackbone::project_positions(const at::Tensor& relative, const ops::SlotRows& rows, std::int64_t index,
                                              const ForwardContext& context) const {
  if (!relative.defined()) return {};
  const Linear& projections = layers_[static_cast<std::size_t>(index)].positions;
  const ops::DropoutSite site{hidden_dropout_, static_cast<std::uint16_t>(1 + 2 * index)};
  const at::Tensor dropped = ops::dropout_slots(relative, rows, site, context);
  return ops::linear(dropped, projections, ops::Activation::kNone, context);
}

LayerStream DebertaBackbone::layer_of_first_tokens(const LayerStream& stream, std::int64_t index,
                                                   const PackedInput& input, const ForwardContext& context) const {
  const LayerParameters& p = layers_[static_cast<std::size_t>(index)];
  at::Tensor positions;
  if (stream.relative.defined()) {
    const std::int64_t longest = ops::longest_input(input);
    const std::int64_t touched = ops::first_row_slots(config_.attention.buckets, longest);
    const at::Tensor relative = stream.relative.narrow(0, 0, touched);
    positions = project_positions(relative, {slot_rows(longest).first, touched}, index, context);
  }
  const at::Tensor hidden = ops::pool_cls(stream.hidden, input);
  const at::Tensor query = ops::linear(hidden, p.query, ops::Activation::kNone, context);
  const at::Tensor key_value = ops::linear(stream.hidden, p.key_value, ops::Activation::kNone, context);
  const ops::DropoutSite site{attention_dropout_, static_cast<std::uint16_t>(index)};
  ops::AttentionConfig attention = config_.attention;
  attention.queries = QueryRows::kFirst;
  const at::Tensor mixed =
      ops::attention({.query_key_value = {query, key_value}, .positions = positions}, attention, site, input, context);
  return {encoder_layer(mixed, hidden, p.behind_attention, layer_config_, index, first_tokens(input), context),
          stream.relative};
}

LayerStream DebertaBackbone::layer(const LayerStream& stream, std::int64_t index, QueryRows rows,
                                   const PackedInput& input, const ForwardContext& context) const {
  if (rows == QueryRows::kFirst) return layer_of_first_tokens(stream, index, input, context);
  const LayerParameters& p = layers_[static_cast<std::size_t>(index)];
  const at::Tensor positions = project_positions(stream.relative, slot_rows(ops::longest_input(input)), index, context);
  const ParameterView& weight = p.query_key_value.weight;
  if (!weight.sharded && on_tensor_axis(context)) {
    throw LayoutError("layout: DeBERTa's attention must be cut over heads on a tensor axis");
  }
  const at::Tensor qkv = ops::column_parallel_linear(stream.hidden, p.query_key_value, input, context);
  ops::AttentionConfig attention = config_.attention;
  attention.num_heads = qkv.size(1) / 3 / layer_config_.head_width;  // this rank's
  const ops::DropoutSite site{attention_dropout_, static_cast<std::uint16_t>(index),
                              weight.first_row / layer_config_.head_width};
  const at::Tensor mixed =
      ops::attention({.query_key_value = {qkv}, .positions = positions}, attention, site, input, context);
  return {encoder_layer(mixed, stream.hidden, p.behind_attention, layer_config_, index, input, context),
          stream.relative};
}

}  // namespace

std::unique_ptr<Backbone> make_deberta_backbone(const DebertaConfig& config, const DropoutOverrides& dropout) {
  return std::make_unique<DebertaBackbone>(config, dropout);
}

}  // namespace meshfold::models
