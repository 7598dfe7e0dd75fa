#pragma once

#include <memory>

#include "models/networks/backbone.hpp"
#include "models/networks/bert_config.hpp"
#include "models/networks/model.hpp"
#include "models/parameters/model_layout.hpp"

namespace meshfold::models {

/// BERT's encoder (Devlin et al., 2018) on packed inputs. Parameters carry the names of transformers'
/// BertForSequenceClassification ("bert.encoder.layer.0.attention.self.query.weight"); query, key and value are
/// neighbours and are multiplied as one matrix.
///
/// Sites of the dropout draws (part of the numerics contract), l = layer from 0:
///   hidden     0: embeddings, 1 + 2 l: attention output, 2 + 2 l: feed-forward output
///   attention  l: probabilities
std::unique_ptr<Backbone> make_bert_backbone(const BertConfig& config, const DropoutOverrides& dropout);

/// The backbone with a head for regression or classification. Parameters are declared and allocated, but hold no
/// values yet.
std::unique_ptr<Model> make_bert(const BertConfig& config, const HeadConfig& head, const DropoutOverrides& dropout,
                                 at::ScalarType compute_type, const ModelLayout& layout = {});

}  // namespace meshfold::models
