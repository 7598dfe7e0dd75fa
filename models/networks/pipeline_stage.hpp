#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "models/context/forward_context.hpp"
#include "models/context/pack_shape.hpp"
#include "models/context/packed_input.hpp"
#include "models/networks/stage_ranges.hpp"
#include "models/ops/block_costs.hpp"

namespace meshfold::models {

/// One tensor of what a stage hands to the next for a pack: fp32, contiguous. Its shape follows from the pack alone, so
/// that no rank has to be told it.
struct StreamPart {
  std::vector<std::int64_t> shape;
  bool learns = true;  ///< in training its gradient comes back; false below the lowest parameter that learns
};

/// What a pack costs a rank on a stage.
struct StageCosts {
  /// Costs of all that the stage computes, with what came in, what goes on, and on the way back its gradient.
  ops::BlockCosts blocks;
  /// Bytes of the stream between two stages. The lower hidden states that go with it for a pooler count as nothing.
  std::int64_t stream = 0;
};

/// A range of a model's layers; the first stage embeds too, the last one has the head. What goes on is the hidden state
/// (on a tensor axis this rank's rows of it), what all layers read beside it (DeBERTa's relative embeddings), and the
/// lower hidden states that the pooler asked for.
class PipelineStage {
 public:
  virtual ~PipelineStage() = default;
  virtual bool is_first() const = 0;
  virtual bool is_last() const = 0;
  virtual PackShape shape_of(const PackedInput& input) const = 0;
  /// What this stage takes from the one before; of the first stage nothing.
  virtual std::vector<StreamPart> incoming(const PackShape& pack) const = 0;
  /// What it hands on; of the last stage nothing.
  virtual std::vector<StreamPart> outgoing(const PackShape& pack) const = 0;
  virtual StageCosts costs(const PackShape& pack) const = 0;
  /// From what came in to what goes on, in the order of the parts; the last stage gives the outputs alone. With
  /// kTraining the parts that learn have a graph that begins at `received`, whose learning parts require gradients.
  virtual std::vector<at::Tensor> run(const PackedInput& input, const std::vector<at::Tensor>& received,
                                      const ForwardContext& context) = 0;
};

}  // namespace meshfold::models
