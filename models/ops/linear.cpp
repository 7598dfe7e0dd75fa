#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "models/ops/autograd.hpp"
#include "models/ops/kernels/activation.hpp"
#include "models/ops/kernels/matmul.hpp"
#include "models/ops/ops.hpp"

namespace meshfold::models::ops {

at::Tensor linear(const at::Tensor& x, const ParameterView& weight, const ParameterView& bias, Activation activation,
                  const ForwardContext& context) {
  const at::ScalarType type = weight.compute.scalar_type();
  const at::NoGradGuard no_graph;  // the block is the graph
  const at::Tensor input = x.detach().to(type).contiguous();
  const at::Tensor summand =
      bias.value.defined() ? bias.value : at::zeros({weight.value.size(0)}, weight.value.options());
  const Keep keep = context.mode == Mode::kTraining ? Keep::kPreActivationToo : Keep::kOutput;
  const auto [pre_activation, y] = linear_forward(input, weight.compute, summand, activation, keep);
  if (context.mode != Mode::kTraining) return y;
  const auto backward = [=, z = pre_activation, x_type = x.scalar_type(),
                         sink = context.gradients](const at::Tensor& dy) -> std::vector<at::Tensor> {
    const auto gradients = activation_backward(dy, z, activation);
    sink->add_product(weight, gradients.dz, input);
    if (bias.value.defined()) sink->add(bias, gradients.bias);
    return {product_input_gradient(gradients.dz, weight.compute, x_type)};
  };
  return attach_backward(y, {x}, "LinearBackward", backward);
}

Activated activated_linear(const at::Tensor& x, const ParameterView& weight, const ParameterView& bias,
                           Activation activation, const ForwardContext& context) {
  const at::ScalarType type = weight.compute.scalar_type();
  const at::NoGradGuard no_graph;  // the block is the graph
  const at::Tensor input = x.detach().to(type).contiguous();
  const Keep keep = context.mode == Mode::kTraining ? Keep::kPreActivationToo : Keep::kOutput;
  const auto [pre_activation, y] = linear_forward(input, weight.compute, bias.value, activation, keep);
  if (context.mode != Mode::kTraining) return {activation, {}, y};
  const auto backward = [=, x_type = x.scalar_type(),
                         sink = context.gradients](const at::Tensor& dz) -> std::vector<at::Tensor> {
    sink->add_product(weight, dz, input);
    sink->add(bias, column_sums(dz));
    return {product_input_gradient(dz, weight.compute, x_type)};
  };
  const at::Tensor z = pre_activation.defined() ? pre_activation : y.detach();
  return {activation, attach_backward(z, {x}, "ActivatedLinearBackward", backward), y};
}

at::Tensor linear(const Activated& x, const ParameterView& weight, const ParameterView& bias,
                  const ForwardContext& context) {
  const at::NoGradGuard no_graph;  // the block is the graph
  const at::Tensor y = linear_forward(x.after, weight.compute, bias.value, Activation::kNone, Keep::kOutput).y;
  if (context.mode != Mode::kTraining) return y;
  const auto backward = [weight, bias, z = x.before.detach(), activation = x.activation,
                         sink = context.gradients](const at::Tensor& dy) -> std::vector<at::Tensor> {
    sink->add(bias, column_sums(dy));
    const auto [dz, input] = activated_input_gradient(dy, weight.compute, z, activation);
    sink->add_product(weight, dy, input);
    return {dz};
  };
  return attach_backward(y, {x.before}, "LinearBackward", backward);
}

}  // namespace meshfold::models::ops
