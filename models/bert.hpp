#pragma once

#include <memory>

#include "models/bert_config.hpp"
#include "models/model.hpp"

namespace meshfold::models {

/// BERT (Devlin et al., 2018) with a head for regression or classification, on packed inputs. Parameters carry the
/// names of transformers' BertForSequenceClassification ("bert.encoder.layer.0.attention.self.query.weight"); query,
/// key and value are neighbours and are multiplied as one matrix. They are declared and allocated here, but hold no
/// values yet.
///
/// Pooling cls: transformers' pooler (dense, tanh) on the first token, dropout, classifier. Pooling mean: mean over the
/// tokens, dropout, classifier; there are no pooler parameters. Pooler and classifier always compute in fp32.
///
/// Sites of the dropout draws (part of the numerics contract), l = layer from 0:
///   hidden     0: embeddings, 1 + 2 l: attention output, 2 + 2 l: feed-forward output
///   attention  l: probabilities
///   head       0: before the classifier
std::unique_ptr<Model> make_bert(const BertConfig& config, const HeadConfig& head, const DropoutOverrides& dropout,
                                 at::ScalarType compute_type);

}  // namespace meshfold::models
