#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "models/context/forward_context.hpp"
#include "models/context/packed_input.hpp"
#include "models/networks/model.hpp"
#include "models/networks/stage_ranges.hpp"
#include "models/ops/block_costs.hpp"
#include "models/ops/problems/activation.hpp"
#include "models/parameters/layout_map.hpp"
#include "models/parameters/parameter_declaration.hpp"

namespace meshfold::models {

/// What travels from layer to layer (and from stage to stage of a pipeline): the residual stream and what a kind of
/// backbone carries beside it.
struct LayerStream {
  at::Tensor hidden;    ///< [T, H] fp32; on a tensor axis this rank's rows of it; [S, H] of first tokens alone
  at::Tensor relative;  ///< relative position embeddings that every layer reads; undefined in models without them
};

/// How transformers' sequence classifier of an architecture pools the first token, for heads with pooling cls.
struct PoolerConfig {
  std::string name;  ///< of the dense layer's parameters: "bert.pooler.dense"
  ops::Activation activation = ops::Activation::kTanh;
  double input_dropout = 0.0;  ///< on the first token's vector, before the dense layer
};

struct BackboneShape {
  std::int64_t num_layers = 0, hidden_size = 0, num_heads = 0, vocabulary_size = 0;
  std::int64_t max_positions = 0;  ///< longest input in tokens
};

/// An encoder as a chain `embeddings -> layer 0 .. L-1`; a pipeline stage is a range of that chain. It declares its
/// parameters under their Hugging Face names, prefix included, and keeps views of them; it owns no weights. Forward
/// calls are const and may run for several packs in turn.
class Backbone {
 public:
  virtual ~Backbone() = default;
  /// Declares every parameter, in the order of use, with its role and layer.
  virtual void declare(const ParameterDeclaration& declare) const = 0;
  /// Takes its views, once the store is allocated: of the layers in `range`, and of the embeddings if it begins with
  /// layer 0. The store need not have more than these. Throws LayoutError for cuts that it cannot compute with.
  virtual void bind(const ParameterStore& store, const LayerRange& range) = 0;
  /// The stream before layer 0.
  virtual LayerStream embed(const PackedInput& input, const ForwardContext& context) const = 0;
  /// The stream after layer `index`, of the tokens that `rows` names; what comes in is that of all tokens. On a tensor
  /// axis of several ranks always of all.
  virtual LayerStream layer(const LayerStream& stream, std::int64_t index, QueryRows rows, const PackedInput& input,
                            const ForwardContext& context) const = 0;
  virtual BackboneShape shape() const = 0;
  /// Rows of LayerStream::relative for a pack whose longest input has so many tokens; 0 in models without it.
  virtual std::int64_t relative_rows(std::int64_t /*longest*/) const { return 0; }

  /// What embed() and layer() cost a rank, from the views that are bound: those of its tensor rank and of the layers in
  /// `range`. They may lie on the meta device.
  virtual ops::BlockCosts embedding_costs(const PackOnRank& pack) const = 0;
  virtual ops::BlockCosts layer_costs(std::int64_t index, QueryRows rows, const PackOnRank& pack) const = 0;
  /// What pipeline stages are balanced by.
  virtual TokenWork token_work() const = 0;
  /// What packs are cut by: the relative cost of an input of `length` tokens. In integers, so that every machine cuts
  /// alike; part of the numerics contract.
  virtual std::uint64_t input_cost(std::uint64_t length) const = 0;

  /// How its parameters lie on a tensor axis by default; none: it knows no tensor axis.
  virtual std::vector<LayoutRule> layout() const { return {}; }
  virtual PoolerConfig pooler() const = 0;
  /// The probabilities in force.
  virtual DropoutOverrides dropout() const = 0;
  /// Dropout before a classifier, where the head's configuration does not say.
  virtual double classifier_dropout() const = 0;
  /// Standard deviation of freshly drawn matrices.
  virtual double initializer_range() const = 0;
  virtual std::string description() const = 0;  ///< see Model::description
};

/// "6 layers x 384, 12 heads, vocabulary 30,522".
std::string shape_in_words(const BackboneShape& shape);

}  // namespace meshfold::models
