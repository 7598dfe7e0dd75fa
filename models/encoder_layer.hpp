#pragma once

#include "models/ops/ops.hpp"
#include "models/parameter_declaration.hpp"

/// What the layers of BERT and DeBERTa have in common: all behind the attention, with the norm after each residual sum
/// (Vaswani et al., 2017).
namespace meshfold::models {

struct EncoderLayerConfig {
  std::int64_t hidden_size = 0, intermediate_size = 0;
  ops::Activation activation = ops::Activation::kGelu;
  double layer_norm_epsilon = 1e-12;
  double hidden_dropout = 0.0;
};

struct EncoderLayerParameters {
  LinearParameters attention_output, intermediate, output;
  NormParameters attention_norm, output_norm;
};

/// Declares attention.output, intermediate and output under `prefix`.
void declare_encoder_layer(ParameterDeclaration& declare, const EncoderLayerConfig& config, const std::string& prefix);
EncoderLayerParameters find_encoder_layer(const ParameterStore& store, const std::string& prefix);

/// Layer `index` behind its attention: `mixed` [T, H] is the attention's result, `hidden` fp32 [T, H] what it read.
/// Hidden dropout has site 1 + 2 index at the attention output and 2 + 2 index at the feed-forward output.
at::Tensor encoder_layer(const at::Tensor& mixed, const at::Tensor& hidden, const EncoderLayerParameters& parameters,
                         const EncoderLayerConfig& config, std::int64_t index, const PackedInput& input,
                         const ForwardContext& context);

}  // namespace meshfold::models
