#pragma once

#include <memory>

#include "models/networks/backbone.hpp"
#include "models/networks/deberta_config.hpp"

namespace meshfold::models {

/// DeBERTa-v2/v3's encoder (He et al., 2020 and 2021) on packed inputs. Parameters carry the names of transformers'
/// DebertaV2ForSequenceClassification ("deberta.encoder.layer.0.attention.self.query_proj.weight"); query, key and
/// value are neighbours and are multiplied as one matrix, and so are the projections of the relative embeddings. Of
/// these, only the rows that the pack's longest input touches are computed.
///
/// Sites of the dropout draws (part of the numerics contract), l = layer from 0:
///   hidden     0: embeddings, 1 + 2 l: attention output, 2 + 2 l: feed-forward output;
///              1 + 2 l with philox row 2^32 - 1: relative embeddings, position = slot
///   attention  l: probabilities
std::unique_ptr<Backbone> make_deberta_backbone(const DebertaConfig& config, const DropoutOverrides& dropout);

}  // namespace meshfold::models
