#include "models/encoder_layer.hpp"

namespace meshfold::models {

void declare_encoder_layer(ParameterDeclaration& declare, const EncoderLayerConfig& config, const std::string& prefix) {
  const std::int64_t hidden = config.hidden_size;
  declare.linear(prefix + "attention.output.dense", hidden, hidden, ComputeCopy::kYes);
  declare.norm(prefix + "attention.output.LayerNorm", hidden);
  declare.linear(prefix + "intermediate.dense", config.intermediate_size, hidden, ComputeCopy::kYes);
  declare.linear(prefix + "output.dense", hidden, config.intermediate_size, ComputeCopy::kYes);
  declare.norm(prefix + "output.LayerNorm", hidden);
}

EncoderLayerParameters find_encoder_layer(const ParameterStore& store, const std::string& prefix) {
  return {.attention_output = find_linear(store, prefix + "attention.output.dense"),
          .intermediate = find_linear(store, prefix + "intermediate.dense"),
          .output = find_linear(store, prefix + "output.dense"),
          .attention_norm = find_linear(store, prefix + "attention.output.LayerNorm"),
          .output_norm = find_linear(store, prefix + "output.LayerNorm")};
}

at::Tensor encoder_layer(const at::Tensor& mixed, const at::Tensor& hidden, const EncoderLayerParameters& p,
                         const EncoderLayerConfig& config, std::int64_t index, const PackedInput& input,
                         const ForwardContext& context) {
  using ops::Activation;
  const auto dropout = [&](std::int64_t site) {
    return ops::DropoutSite{config.hidden_dropout, static_cast<std::uint16_t>(site)};
  };
  const double epsilon = config.layer_norm_epsilon;
  const at::Tensor projected =
      ops::linear(mixed, p.attention_output.weight, p.attention_output.bias, Activation::kNone, context);
  const at::Tensor attended = ops::add_norm(projected, hidden, p.attention_norm.weight, p.attention_norm.bias, epsilon,
                                            dropout(1 + 2 * index), input, context);
  const at::Tensor expanded =
      ops::linear(attended, p.intermediate.weight, p.intermediate.bias, config.activation, context);
  const at::Tensor contracted = ops::linear(expanded, p.output.weight, p.output.bias, Activation::kNone, context);
  return ops::add_norm(contracted, attended, p.output_norm.weight, p.output_norm.bias, epsilon, dropout(2 + 2 * index),
                       input, context);
}

}  // namespace meshfold::models
