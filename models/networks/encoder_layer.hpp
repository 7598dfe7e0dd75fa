#pragma once

#include <initializer_list>
#include <string>

#include "models/context/forward_context.hpp"
#include "models/context/packed_input.hpp"
#include "models/ops/embed.hpp"
#include "models/ops/problems/activation.hpp"
#include "models/parameters/parameter_declaration.hpp"

/// What the layers of BERT and DeBERTa have in common: all behind the attention, with the norm after each residual sum
/// (Vaswani et al., 2017).
namespace meshfold::models {

struct EncoderLayerConfig {
  std::int64_t hidden_size = 0, intermediate_size = 0;
  ops::Activation activation = ops::Activation::kGelu;
  double layer_norm_epsilon = 1e-12;
  double hidden_dropout = 0.0;
  std::int64_t head_width = 1;
};

struct EncoderLayerParameters {
  Linear attention_output, intermediate, output;
  Norm attention_norm, output_norm;
};

/// Declares attention.output, intermediate and output under `prefix`.
void declare_encoder_layer(const ParameterDeclaration& declare, const EncoderLayerConfig& config,
                           const std::string& prefix);
EncoderLayerParameters find_encoder_layer(const ParameterStore& store, const EncoderLayerConfig& config,
                                          const std::string& prefix);

/// LayoutError unless the layer's pieces fit together: query, key and value are cut with attention.output, intermediate
/// with output, and all else is whole. `prefix` names the layer.
void check_layer_cuts(const Linear& query_key_value, const EncoderLayerParameters& parameters,
                      const EncoderLayerConfig& config, const std::string& prefix);
/// LayoutError unless of the embeddings only the rows of the word table are cut.
void check_embedding_cuts(const ops::EmbeddingTables& tables, std::initializer_list<ParameterView> others);

/// Layer `index` behind its attention: `mixed` [T, H] is the attention's result, `hidden` fp32 [T, H] what it read.
/// On a tensor axis `mixed` has this rank's heads where attention.output is cut, and the other tensors this rank's
/// rows. Hidden dropout has site 1 + 2 index at the attention output and 2 + 2 index at the feed-forward output.
at::Tensor encoder_layer(const at::Tensor& mixed, const at::Tensor& hidden, const EncoderLayerParameters& parameters,
                         const EncoderLayerConfig& config, std::int64_t index, const PackedInput& input,
                         const ForwardContext& context);

}  // namespace meshfold::models
