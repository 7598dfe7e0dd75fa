#pragma once

#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "dist/mesh.hpp"
#include "models/networks/bert.hpp"
#include "models/networks/deberta.hpp"
#include "models/networks/sequence_model.hpp"
#include "models/parameters/parameter_initialization.hpp"
#include "tests/jobs/toy_problem.hpp"

namespace meshfold::tests {

enum class ToyKind { kBert, kDeberta };

inline std::unique_ptr<models::Backbone> make_toy_backbone(ToyKind kind) {
  constexpr std::int64_t kHiddenSize = 24, kLayers = 4, kHeads = 12, kIntermediate = 36;
  if (kind == ToyKind::kBert) {
    models::BertConfig config;
    config.vocabulary_size = ToyModel::kVocabulary;
    config.hidden_size = kHiddenSize;
    config.num_layers = kLayers;
    config.num_heads = kHeads;
    config.intermediate_size = kIntermediate;
    config.max_positions = 16;
    config.num_segments = 2;
    return models::make_bert_backbone(config, {.hidden = 0.2, .attention = 0.2});
  }
  models::DebertaConfig config;
  config.vocabulary_size = ToyModel::kVocabulary;
  config.hidden_size = kHiddenSize;
  config.embedding_size = 10;
  config.num_layers = kLayers;
  config.intermediate_size = kIntermediate;
  config.position_biased_input = false;
  config.relative_attention = true;
  config.norm_relative_embeddings = true;
  config.share_position_projections = true;
  config.attention = {.num_heads = kHeads,
                      .head_width = kHiddenSize / kHeads,
                      .scale = 1 / std::sqrt(3.0 * (kHiddenSize / kHeads)),
                      .buckets = {.num_buckets = 4, .max_distance = 12},
                      .content_to_position = true,
                      .position_to_content = true};
  return models::make_deberta_backbone(config, {.hidden = 0.2, .attention = 0.2});
}

/// What a test changes about the toy encoder.
struct ToyVariant {
  models::HeadConfig head = {};
  models::Recompute recompute = models::Recompute::kNone;
  models::LayerRates rates = {};
  at::Device device = at::kCPU;
};

/// This rank's part of an encoder that trains in milliseconds: twelve heads, so that 2, 3 and 4 tensor ranks divide
/// them, and a vocabulary of 50, which 3 and 4 do not divide. Dropout everywhere. Weights depend on the seed alone.
inline std::unique_ptr<models::Model> make_toy_encoder(ToyKind kind, const dist::Mesh& mesh, std::uint32_t seed = 7,
                                                       at::ScalarType compute_type = at::kFloat,
                                                       std::vector<models::LayoutRule> rules = {},
                                                       const ToyVariant& variant = {}) {
  models::HeadConfig head = variant.head;
  head.labels = {"a", "b", "c"};
  models::ModelLayout layout;
  layout.rules = std::move(rules);
  layout.tensor_rank = mesh.coordinates().tensor;
  layout.tensor_ranks = mesh.shape().tensor;
  layout.tensor = &mesh.tensor();
  layout.pipeline_rank = mesh.coordinates().pipeline;
  layout.pipeline_ranks = mesh.shape().pipeline;
  layout.device = variant.device;
  auto model = models::make_sequence_model(make_toy_backbone(kind), head, compute_type, layout, variant.recompute,
                                           variant.rates);
  for (const models::Parameter& parameter : model->parameters()) models::initialize_parameter(parameter, seed, 0.1);
  model->parameters().refresh_compute_copies();
  return model;
}

}  // namespace meshfold::tests
