#include "models/ops/relative_embeddings.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <memory>

#include "models/context/dropout.hpp"
#include "models/ops/autograd.hpp"
#include "models/ops/kernels/layer_norm.hpp"

namespace meshfold::models::ops {
namespace {

void add_to_table(GradientSink& sink, const ParameterView& table, const SlotRows& rows, const at::Tensor& gradient) {
  sink.add_rows(table, at::arange(rows.first, rows.first + rows.count, gradient.options().dtype(at::kLong)), gradient);
}

}  // namespace

at::Tensor relative_embeddings(const ParameterView& table, const SlotRows& rows, const ParameterView& gamma,
                               const ParameterView& beta, double epsilon, const ForwardContext& context) {
  const at::NoGradGuard no_graph;  // the block is the graph
  const at::Tensor base = table.value.narrow(0, rows.first, rows.count).clone();
  GradientSink* const sink = context.gradients;
  if (!gamma.value.defined()) {
    if (context.mode != Mode::kTraining) return base;
    return attach_backward(base, {}, "RelativeEmbeddingsBackward",
                           [=](const at::Tensor& dy) -> std::vector<at::Tensor> {
                             add_to_table(*sink, table, rows, dy.contiguous());
                             return {};
                           });
  }
  NormResult result = norm_forward({.base = base,
                                    .x = {},
                                    .before = nullptr,
                                    .after = nullptr,
                                    .gamma = gamma.value,
                                    .beta = beta.value,
                                    .epsilon = epsilon,
                                    .mode = context.mode});
  if (context.mode != Mode::kTraining) return result.y;
  const at::Tensor y = std::move(result.y);
  const auto backward = [=, saved = std::move(result)](const at::Tensor& dy) -> std::vector<at::Tensor> {
    const auto gradients = norm_backward(dy, saved, gamma.value, nullptr, nullptr, at::ScalarType::Undefined);
    sink->add(gamma, gradients.gamma);
    sink->add(beta, gradients.beta);
    add_to_table(*sink, table, rows, gradients.base);
    return {};
  };
  return attach_backward(y, {}, "RelativeEmbeddingsBackward", backward);
}

at::Tensor dropout_slots(const at::Tensor& x, const SlotRows& rows, const DropoutSite& site,
                         const ForwardContext& context) {
  const auto dropout =
      std::make_shared<const RowDropout>(RowDropout::over_slots(site, rows.first, rows.count, context));
  if (!dropout->active()) return x;
  const at::NoGradGuard no_graph;  // the block is the graph
  const at::Tensor y = multiply_rows(x.detach(), *dropout);
  if (context.mode != Mode::kTraining) return y;
  return attach_backward(y, {x}, "DropoutSlotsBackward", [dropout](const at::Tensor& dy) -> std::vector<at::Tensor> {
    return {multiply_rows(dy, *dropout)};
  });
}

}  // namespace meshfold::models::ops
