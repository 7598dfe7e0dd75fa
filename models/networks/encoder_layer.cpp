#include "models/networks/encoder_layer.hpp"

#include <algorithm>

#include "models/error.hpp"
#include "models/ops/norm.hpp"
#include "models/ops/tensor_parallel.hpp"

namespace meshfold::models {

void declare_encoder_layer(const ParameterDeclaration& declare, const EncoderLayerConfig& config,
                           const std::string& prefix) {
  const std::int64_t hidden = config.hidden_size, wide = config.intermediate_size;
  declare.linear(prefix + "attention.output.dense",
                 {.role = Role::kAttentionOutput, .out = hidden, .in = hidden, .in_unit = config.head_width});
  declare.norm(prefix + "attention.output.LayerNorm", hidden);
  declare.linear(prefix + "intermediate.dense", {.role = Role::kIntermediate, .out = wide, .in = hidden});
  declare.linear(prefix + "output.dense", {.role = Role::kOutput, .out = hidden, .in = wide});
  declare.norm(prefix + "output.LayerNorm", hidden);
}

EncoderLayerParameters find_encoder_layer(const ParameterStore& store, const EncoderLayerConfig& config,
                                          const std::string& prefix) {
  const double epsilon = config.layer_norm_epsilon;
  return {.attention_output = find_linear(store, prefix + "attention.output.dense"),
          .intermediate = find_linear(store, prefix + "intermediate.dense"),
          .output = find_linear(store, prefix + "output.dense"),
          .attention_norm = find_norm(store, prefix + "attention.output.LayerNorm", epsilon),
          .output_norm = find_norm(store, prefix + "output.LayerNorm", epsilon)};
}

void check_layer_cuts(const Linear& query_key_value, const EncoderLayerParameters& p, const EncoderLayerConfig& config,
                      const std::string& prefix) {
  /// `after` takes what `before`, which is `fused` matrices of equal size, gives.
  const auto fits = [&](const Linear& before, std::int64_t fused, const Linear& after) {
    const std::int64_t width = before.weight.value.size(0) / fused;
    const bool bias_fits = !before.bias.defined() || before.bias.value.size(0) == width * fused;
    return before.weight.value.size(1) == config.hidden_size && bias_fits && after.weight.value.size(1) == width &&
           after.weight.value.size(0) == config.hidden_size && !after.bias.sharded;
  };
  const auto whole = [](const Norm& norm) { return !norm.weight.sharded && !norm.bias.sharded; };
  if (fits(query_key_value, 3, p.attention_output) && fits(p.intermediate, 1, p.output) && whole(p.attention_norm) &&
      whole(p.output_norm)) {
    return;
  }
  throw LayoutError("layout: " + prefix +
                    "*: query, key and value (weight: tensor, -; bias: tensor) are cut together with "
                    "attention.output.dense.weight (-, tensor), intermediate.dense likewise with output.dense.weight, "
                    "and all else is whole");
}

void check_embedding_cuts(const ops::EmbeddingTables& tables, std::initializer_list<ParameterView> others) {
  const ParameterView& words = tables.words;
  const bool whole_rows = words.value.size(0) < words.num_rows || !words.sharded;
  const bool others_whole = std::ranges::none_of(others, [](const ParameterView& view) { return view.sharded; });
  if (whole_rows && others_whole && !tables.positions.sharded && !tables.segments.sharded) return;
  throw LayoutError("layout: of the embeddings only the rows of word_embeddings may be cut (tensor~, -)");
}

at::Tensor encoder_layer(const at::Tensor& mixed, const at::Tensor& hidden, const EncoderLayerParameters& p,
                         const EncoderLayerConfig& config, std::int64_t index, const PackedInput& input,
                         const ForwardContext& context) {
  const auto dropout = [&](std::int64_t site) {
    return ops::DropoutSite{config.hidden_dropout, static_cast<std::uint16_t>(site)};
  };
  const at::Tensor projected = ops::row_parallel_linear(mixed, p.attention_output, input, context);
  const at::Tensor attended =
      ops::add_norm(projected, hidden, p.attention_norm, dropout(1 + 2 * index), input, context);
  const at::Tensor contracted =
      ops::row_parallel_linear(ops::column_parallel_linear(attended, p.intermediate, config.activation, input, context),
                               p.output, input, context);
  return ops::add_norm(contracted, attended, p.output_norm, dropout(2 + 2 * index), input, context);
}

}  // namespace meshfold::models
