#include "jobs/plan/rank_geometry.hpp"

#include <algorithm>

#include "dist/row_shards.hpp"
#include "models/losses/loss.hpp"
#include "models/networks/pooler.hpp"

namespace meshfold::jobs {
namespace {

std::int64_t first_state_of(const models::HeadConfig& head, std::int64_t num_layers) {
  if (head.pooling == models::Pooling::kWeightedLayers) return head.first_state;
  if (head.pooling == models::Pooling::kConcatCls) return num_layers - head.num_layers + 1;
  return num_layers;
}

/// Whether a parameter of this role is cut.
bool cuts(const models::ParameterStore& store, models::Role role) {
  return std::ranges::any_of(store, [&](const models::Parameter& parameter) {
    return parameter.spec.role == role && parameter.spec.sharded();
  });
}

}  // namespace

std::int64_t RankGeometry::own_rows(std::int64_t tokens) const {
  return dist::even_row_shards(tokens, mesh.tensor)[static_cast<std::size_t>(place.tensor)];
}

RankGeometry geometry_of(const models::ModelOutline& outline, const RunConfig& config, const dist::MeshShape& mesh,
                         const dist::MeshCoordinates& place, const models::ParameterStore& store, int packs) {
  RankGeometry rank;
  rank.model = outline.backbone().shape();
  rank.position_projections = outline.backbone().num_position_projections();
  rank.mesh = mesh;
  rank.place = place;
  rank.layers =
      models::stage_ranges(rank.model, mesh.pipeline, config.pipeline.stages)[static_cast<std::size_t>(place.pipeline)];
  rank.rates = config.layer_rates;
  rank.first_state = first_state_of(outline.head(), rank.model.num_layers);
  rank.compute_bytes = config.precision == Precision::kBf16 ? 2 : 4;
  rank.cuts_words = cuts(store, models::Role::kEmbedding);
  rank.cuts_attention = cuts(store, models::Role::kAttentionOutput);
  rank.cuts_feed_forward = cuts(store, models::Role::kOutput);
  rank.recomputes = config.training.recompute == models::Recompute::kLayers;
  if (mesh.tensor == 1) rank.rows_for_head = models::rows_read_by(outline.head());
  const auto loss = models::make_loss(config.loss, static_cast<std::int64_t>(outline.head().labels.size()));
  rank.forward_passes = loss->num_statistics() > 0 && packs > 1 ? 2 : 1;
  return rank;
}

}  // namespace meshfold::jobs
