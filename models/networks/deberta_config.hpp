#pragma once

#include <cstdint>
#include <optional>

#include "models/ops/problems/activation.hpp"
#include "models/ops/problems/attention.hpp"

namespace meshfold::models {

class ConfigJson;

/// The sizes and probabilities of a DeBERTa-v2 or v3 encoder, as config.json of a Hugging Face directory states them.
struct DebertaConfig {
  std::int64_t vocabulary_size = 0;
  std::int64_t hidden_size = 0;
  std::optional<std::int64_t> embedding_size;  ///< width of the embeddings' tables where it is not hidden_size
  std::int64_t num_layers = 0;
  std::int64_t intermediate_size = 0;
  std::int64_t max_positions = 0;     ///< rows of the absolute position embeddings, where there are any
  std::int64_t num_segments = 0;      ///< type_vocab_size; 0: no segment embeddings
  bool position_biased_input = true;  ///< absolute position embeddings are added to the words'
  bool relative_attention = false;    ///< a table of relative embeddings, read by every layer
  bool norm_relative_embeddings = false;
  bool share_position_projections = false;  ///< share_att_key: query_proj and key_proj also project relative embeddings
  ops::AttentionConfig attention;           ///< of all heads
  ops::Activation hidden_activation = ops::Activation::kGelu;
  ops::Activation pooler_activation = ops::Activation::kGelu;
  double pooler_dropout = 0.0;
  double layer_norm_epsilon = 1e-7;
  double initializer_range = 0.02;
  double hidden_dropout = 0.1;
  double attention_dropout = 0.1;
  std::optional<double> classifier_dropout;  ///< cls_dropout; absent: hidden_dropout, as transformers
};

/// Reads a config.json of model_type deberta-v2 with the defaults of transformers 5. Refuses, as a ModelFileError that
/// names the key: v2's convolution layer, z_steps, poolers or heads of another width, unknown kinds of
/// position terms and norms, and what read_bert_config refuses.
DebertaConfig read_deberta_config(const ConfigJson& json);

}  // namespace meshfold::models
