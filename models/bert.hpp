#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "models/bert_config.hpp"
#include "models/model.hpp"

namespace meshfold::models {

/// BERT (Devlin et al., 2019) with a pooled head. Declares and allocates the parameters under the names of transformers'
/// BertForSequenceClassification (`bert.embeddings.word_embeddings.weight`, ..., `bert.pooler.dense.weight` with cls pooling only,
/// `classifier.weight`); their values are left uninitialised.
std::unique_ptr<Model> make_bert(const BertConfig& config, const HeadConfig& head, const DropoutOverrides& dropout,
                                 at::ScalarType compute_type);

}  // namespace meshfold::models
