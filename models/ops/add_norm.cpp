#include <ATen/core/grad_mode.h>

#include <memory>

#include "models/ops/autograd.hpp"
#include "models/ops/kernels/layer_norm.hpp"
#include "models/ops/ops.hpp"

namespace meshfold::models::ops {

at::Tensor add_norm(const at::Tensor& x, const at::Tensor& residual, const ParameterView& gamma,
                    const ParameterView& beta, double epsilon, const DropoutSite& site, const PackedInput& input,
                    const ForwardContext& context) {
  const auto dropout = std::make_shared<const RowDropout>(RowDropout::over_tokens(site, input, context));
  const at::NoGradGuard no_graph;  // the block is the graph
  NormResult result = norm_forward({.base = residual.contiguous(),
                                    .x = x,
                                    .before = dropout.get(),
                                    .after = nullptr,
                                    .gamma = gamma.value,
                                    .beta = beta.value,
                                    .epsilon = epsilon,
                                    .mode = context.mode});
  if (context.mode != Mode::kTraining) return result.y;
  const at::Tensor y = std::move(result.y);
  const auto backward = [saved = std::move(result), dropout, gamma, beta, x_type = x.scalar_type(),
                         sink = context.gradients](const at::Tensor& dy) -> std::vector<at::Tensor> {
    auto gradients = norm_backward(dy, saved, gamma.value, dropout.get(), nullptr, x_type);
    sink->add(gamma, gradients.gamma);
    sink->add(beta, gradients.beta);
    return {gradients.x, gradients.base};
  };
  return attach_backward(y, {x, residual}, "AddNormBackward", backward);
}

at::Tensor norm(const at::Tensor& x, const ParameterView& gamma, const ParameterView& beta, double epsilon,
                const DropoutSite& site, const PackedInput& input, const ForwardContext& context) {
  const auto dropout = std::make_shared<const RowDropout>(RowDropout::over_tokens(site, input, context));
  const at::NoGradGuard no_graph;  // the block is the graph
  NormResult result = norm_forward({.base = x.to(at::kFloat).contiguous(),
                                    .x = {},
                                    .before = nullptr,
                                    .after = dropout.get(),
                                    .gamma = gamma.value,
                                    .beta = beta.value,
                                    .epsilon = epsilon,
                                    .mode = context.mode});
  if (context.mode != Mode::kTraining) return result.y;
  const at::Tensor y = std::move(result.y);
  const auto backward = [saved = std::move(result), dropout, gamma, beta, x_type = x.scalar_type(),
                         sink = context.gradients](const at::Tensor& dy) -> std::vector<at::Tensor> {
    const auto gradients = norm_backward(dy, saved, gamma.value, nullptr, dropout.get(), at::ScalarType::Undefined);
    sink->add(gamma, gradients.gamma);
    sink->add(beta, gradients.beta);
    return {gradients.base.to(x_type)};
  };
  return attach_backward(y, {x}, "NormBackward", backward);
}

}  // namespace meshfold::models::ops
