#pragma once

#include <cstdint>

#include "dist/mesh.hpp"
#include "jobs/config/run_config.hpp"
#include "models/context/packed_input.hpp"
#include "models/directory/model_outline.hpp"
#include "models/networks/stage_ranges.hpp"
#include "models/parameters/parameter_store.hpp"

namespace meshfold::jobs {

/// What of a model and a mesh decides how much a rank keeps and sends for a pack.
struct RankGeometry {
  models::BackboneShape model;
  std::int64_t position_projections = 0;  ///< models::Backbone::num_position_projections
  dist::MeshShape mesh;
  dist::MeshCoordinates place;
  models::LayerRange layers;  ///< of the rank's stage
  models::LayerRates rates;
  std::int64_t first_state = 0;    ///< lowest hidden state that the pooler reads
  std::int64_t compute_bytes = 4;  ///< of an element in the compute type
  bool cuts_words = false, cuts_attention = false, cuts_feed_forward = false;  ///< over the tensor axis
  bool recomputes = false;
  models::QueryRows rows_for_head =
      models::QueryRows::kAll;  ///< of hidden states; and what is computed of the last layer
  int forward_passes = 1;       ///< of a pack: 2 where a loss that couples the samples of a step is rehearsed

  bool is_first() const { return layers.first == 0; }
  bool is_last() const { return layers.end == model.num_layers; }
  /// Rows of a pack's tokens that this tensor rank normalises, drops out and adds.
  std::int64_t own_rows(std::int64_t tokens) const;
  /// Whether only first tokens are computed of layer `index`, behind its keys and values.
  bool computes_first_tokens(std::int64_t index) const {
    return index == model.num_layers - 1 && rows_for_head == models::QueryRows::kFirst;
  }
  /// Whether backward passes through layer `index`.
  bool goes_back(std::int64_t index) const { return !rates.freeze_embeddings || index >= rates.freeze_lower_layers; }
};

/// `store`: the rank's parameters. `packs`: of a data rank and step.
RankGeometry geometry_of(const models::ModelOutline& outline, const RunConfig& config, const dist::MeshShape& mesh,
                         const dist::MeshCoordinates& place, const models::ParameterStore& store, int packs);

}  // namespace meshfold::jobs
