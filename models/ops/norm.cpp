#include "models/ops/norm.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <memory>
#include <utility>

#include "models/context/operand_types.hpp"
#include "models/ops/autograd.hpp"
#include "models/ops/kernels/activation.hpp"
#include "models/ops/kernels/layer_norm.hpp"

namespace meshfold::models::ops {
namespace {

NormInput input_of(const Norm& norm, const at::Tensor& base, const ForwardContext& context) {
  check_operands(base.scalar_type(), "norm");
  return {.base = base.to(at::kFloat).contiguous(),
          .x = {},
          .gamma = norm.weight.value,
          .beta = norm.bias.value,
          .epsilon = norm.epsilon,
          .mode = context.mode};
}

void add_gradients(GradientSink& sink, const Norm& norm, const NormGradients& gradients) {
  sink.add(norm.weight, gradients.gamma);
  if (norm.bias.defined()) sink.add(norm.bias, gradients.beta);
}

}  // namespace

at::Tensor add_norm(const at::Tensor& x, const at::Tensor& residual, const Norm& norm, const DropoutSite& site,
                    const PackedInput& input, const ForwardContext& context) {
  const auto dropout = std::make_shared<const RowDropout>(RowDropout::over_tokens(site, input, context));
  const at::NoGradGuard no_graph;  // the block is the graph
  NormInput given = input_of(norm, residual, context);
  given.x = x;
  given.before = dropout.get();
  NormResult result = norm_forward(given);
  if (context.mode != Mode::kTraining) return result.y;
  const at::Tensor y = std::move(result.y);
  const auto backward = [saved = std::move(result), dropout, norm, x_type = x.scalar_type(),
                         sink = context.gradients](const at::Tensor& dy) -> std::vector<at::Tensor> {
    const auto gradients = norm_backward(dy, saved, norm.weight.value, dropout.get(), nullptr, x_type);
    add_gradients(*sink, norm, gradients);
    return {gradients.x, gradients.base};
  };
  return attach_backward(y, {x, residual}, "AddNormBackward", backward);
}

at::Tensor norm(const at::Tensor& x, const Norm& norm, const DropoutSite& site, const PackedInput& input,
                const ForwardContext& context) {
  const auto dropout = std::make_shared<const RowDropout>(RowDropout::over_tokens(site, input, context));
  const at::NoGradGuard no_graph;  // the block is the graph
  NormInput given = input_of(norm, x, context);
  given.after = dropout.get();
  NormResult result = norm_forward(given);
  if (context.mode != Mode::kTraining) return result.y;
  const at::Tensor y = std::move(result.y);
  const auto backward = [saved = std::move(result), dropout, norm, x_type = x.scalar_type(),
                         sink = context.gradients](const at::Tensor& dy) -> std::vector<at::Tensor> {
    const auto gradients =
        norm_backward(dy, saved, norm.weight.value, nullptr, dropout.get(), at::ScalarType::Undefined);
    add_gradients(*sink, norm, gradients);
    return {gradients.base.to(x_type)};
  };
  return attach_backward(y, {x}, "NormBackward", backward);
}

at::Tensor norm_activate(const at::Tensor& x, const Norm& norm, Activation activation, const ForwardContext& context) {
  const at::NoGradGuard no_graph;  // the block is the graph
  NormResult result = norm_forward(input_of(norm, x, context));
  const at::Tensor y = add_bias_and_activate(result.y, /*bias=*/{}, activation, at::kFloat).y;
  if (context.mode != Mode::kTraining) return y;
  if (activation == Activation::kNone) result.y = at::Tensor();  // it is the output: holding it would be a cycle
  const auto backward = [saved = std::move(result), norm, activation, type = x.scalar_type(),
                         sink = context.gradients](const at::Tensor& dy) -> std::vector<at::Tensor> {
    const at::Tensor dz = activation_backward(dy, saved.y, activation).dz;
    const auto gradients = norm_backward(dz, saved, norm.weight.value, nullptr, nullptr, at::ScalarType::Undefined);
    add_gradients(*sink, norm, gradients);
    return {gradients.base.to(type)};
  };
  return attach_backward(y, {x}, "NormActivateBackward", backward);
}

}  // namespace meshfold::models::ops
