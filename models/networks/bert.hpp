#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "models/networks/backbone.hpp"
#include "models/ops/problems/activation.hpp"

namespace meshfold::models {

class ConfigJson;

/// The sizes and probabilities of a BERT encoder, as config.json of a Hugging Face directory states them.
struct BertConfig {
  std::int64_t vocabulary_size = 0;
  std::int64_t hidden_size = 0;
  std::int64_t num_layers = 0;
  std::int64_t num_heads = 0;
  std::int64_t intermediate_size = 0;
  std::int64_t max_positions = 0;
  std::int64_t num_segments = 0;  ///< type_vocab_size
  ops::Activation hidden_activation = ops::Activation::kGelu;
  double layer_norm_epsilon = 1e-12;
  double initializer_range = 0.02;
  double hidden_dropout = 0.1;
  double attention_dropout = 0.1;
  std::optional<double> classifier_dropout;  ///< absent: hidden_dropout, as BertForSequenceClassification
};

/// Refuses, as a ModelFileError that names the key: a decoder, positions other than absolute, an unknown activation,
/// sizes that are missing, not positive or do not divide, probabilities outside [0, 1).
BertConfig read_bert_config(const ConfigJson& config);

/// BERT's encoder (Devlin et al., 2018) on packed inputs. Parameters carry the names of transformers'
/// BertForSequenceClassification ("bert.encoder.layer.0.attention.self.query.weight"); query, key and value are
/// neighbours and are multiplied as one matrix.
///
/// Sites of the dropout draws (part of the numerics contract), l = layer from 0:
///   hidden     0: embeddings, 1 + 2 l: attention output, 2 + 2 l: feed-forward output
///   attention  l: probabilities
std::unique_ptr<Backbone> make_bert_backbone(const BertConfig& config, const DropoutOverrides& dropout);

}  // namespace meshfold::models
