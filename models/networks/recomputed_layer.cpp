#include "models/networks/recomputed_layer.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "models/ops/autograd.hpp"

namespace meshfold::models {
namespace {

/// A part of the stream as the start of a graph of its own; undefined where there is none.
at::Tensor as_leaf(const at::Tensor& part) {
  return part.defined() ? part.detach().set_requires_grad(true) : at::Tensor();
}

}  // namespace

LayerStream recomputed_layer(const Backbone& backbone, const LayerStream& stream, std::int64_t index, QueryRows rows,
                             const PackedInput& input, const ForwardContext& context) {
  if (context.mode != Mode::kTraining) return backbone.layer(stream, index, rows, input, context);
  LayerStream kept;
  kept.hidden = stream.hidden.detach();
  if (stream.relative.defined()) kept.relative = stream.relative.detach();
  ForwardContext without_graph = context;
  without_graph.mode = Mode::kRehearsal;
  without_graph.gradients = nullptr;
  at::Tensor output;
  {
    const at::NoGradGuard no_graph;
    output = backbone.layer(kept, index, rows, input, without_graph).hidden;
  }
  const auto backward = [=, layers = &backbone](const at::Tensor& dy) -> std::vector<at::Tensor> {
    const at::AutoGradMode with_graph(true);
    const LayerStream again{as_leaf(kept.hidden), as_leaf(kept.relative)};
    layers->layer(again, index, rows, input, context).hidden.backward(dy);
    if (!again.relative.defined()) return {again.hidden.grad()};
    return {again.hidden.grad(), again.relative.grad()};
  };
  std::vector<at::Tensor> inputs = {stream.hidden};
  if (stream.relative.defined()) inputs.push_back(stream.relative);
  return {ops::attach_backward(output, inputs, "RecomputedLayerBackward", backward), stream.relative};
}

ops::BlockCosts recomputed_costs(const ops::BlockCosts& layer, std::int64_t input_bytes) {
  ops::BlockCosts costs = layer;
  costs.kept = input_bytes;
  costs.working_backward += layer.kept;
  costs.sent_backward += layer.sent_forward;
  return costs;
}

}  // namespace meshfold::models
