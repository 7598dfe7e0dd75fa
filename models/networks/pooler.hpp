#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "models/networks/backbone.hpp"

namespace meshfold::models {

/// The residual streams that a pooler asked for: hidden states first_state .. L, each [T, H] fp32; state 0 is the
/// embeddings', state l the output of layer l - 1. The last one is the backbone's result.
struct HiddenStates {
  std::int64_t first = 0;
  std::vector<at::Tensor> states;

  const at::Tensor& last() const { return states.back(); }
  const at::Tensor& at(std::int64_t index) const { return states.at(static_cast<std::size_t>(index - first)); }
};

/// From the hidden states of S inputs to one vector each.
class Pooler {
 public:
  virtual ~Pooler() = default;
  virtual void declare(const ParameterDeclaration&) const {}
  virtual void bind(const ParameterStore&) {}
  /// The lowest hidden state it reads; those from here to L are kept for it.
  virtual std::int64_t first_state() const = 0;
  virtual std::int64_t width() const = 0;
  /// [S, width()] fp32.
  virtual at::Tensor operator()(const HiddenStates& hidden, const PackedInput& input,
                                const ForwardContext& context) const = 0;
  /// What operator() costs beyond a few rows per text, which count as nothing. On a tensor axis every rank pools all
  /// rows.
  virtual ops::BlockCosts costs(const PackOnRank& pack) const = 0;
};

/// Which tokens of its hidden states the pooler of a head reads.
QueryRows rows_read_by(const HeadConfig& head);

/// Throws invalid_argument for hidden states that the backbone does not have.
std::unique_ptr<Pooler> make_pooler(const HeadConfig& head, const Backbone& backbone);

}  // namespace meshfold::models
