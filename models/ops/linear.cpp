#include "models/ops/linear.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "models/context/operand_types.hpp"
#include "models/ops/autograd.hpp"
#include "models/ops/kernels/activation.hpp"
#include "models/ops/kernels/matmul.hpp"

namespace meshfold::models::ops {

at::Tensor linear(const at::Tensor& x, const Linear& projection, Activation activation, const ForwardContext& context) {
  check_operands(x.scalar_type(), "linear");
  const at::NoGradGuard no_graph;  // the block is the graph
  const at::Tensor input = x.detach().to(projection.weight.compute.scalar_type()).contiguous();
  const Keep keep = context.mode == Mode::kTraining ? Keep::kPreActivationToo : Keep::kOutput;
  const auto [pre_activation, y] =
      linear_forward(input, projection.weight.compute, projection.bias.value, activation, keep);
  if (context.mode != Mode::kTraining) return y;
  const auto backward = [=, z = pre_activation, x_type = x.scalar_type(),
                         sink = context.gradients](const at::Tensor& dy) -> std::vector<at::Tensor> {
    const auto gradients = activation_backward(dy, z, activation);
    sink->add_product(projection.weight, gradients.dz, input);
    if (projection.bias.defined()) sink->add(projection.bias, gradients.bias);
    return {product_input_gradient(gradients.dz, projection.weight.compute, x_type)};
  };
  return attach_backward(y, {x}, "LinearBackward", backward);
}

Activated activated_linear(const at::Tensor& x, const Linear& projection, Activation activation,
                           const ForwardContext& context) {
  check_operands(x.scalar_type(), "linear");
  const at::NoGradGuard no_graph;  // the block is the graph
  const at::Tensor input = x.detach().to(projection.weight.compute.scalar_type()).contiguous();
  const Keep keep = context.mode == Mode::kTraining ? Keep::kPreActivationToo : Keep::kOutput;
  const auto [pre_activation, y] =
      linear_forward(input, projection.weight.compute, projection.bias.value, activation, keep);
  if (context.mode != Mode::kTraining) return {activation, {}, y};
  const auto backward = [=, x_type = x.scalar_type(),
                         sink = context.gradients](const at::Tensor& dz) -> std::vector<at::Tensor> {
    sink->add_product(projection.weight, dz, input);
    if (projection.bias.defined()) sink->add(projection.bias, column_sums(dz));
    return {product_input_gradient(dz, projection.weight.compute, x_type)};
  };
  const at::Tensor z = pre_activation.defined() ? pre_activation : y.detach();
  return {activation, attach_backward(z, {x}, "ActivatedLinearBackward", backward), y};
}

at::Tensor linear(const Activated& x, const Linear& projection, const ForwardContext& context) {
  const at::NoGradGuard no_graph;  // the block is the graph
  const at::Tensor y =
      linear_forward(x.after, projection.weight.compute, projection.bias.value, Activation::kNone, Keep::kOutput).y;
  if (context.mode != Mode::kTraining) return y;
  const auto backward = [projection, z = x.before.detach(), activation = x.activation,
                         sink = context.gradients](const at::Tensor& dy) -> std::vector<at::Tensor> {
    if (projection.bias.defined()) sink->add(projection.bias, column_sums(dy));
    const auto [dz, input] = activated_input_gradient(dy, projection.weight.compute, z, activation);
    sink->add_product(projection.weight, dy, input);
    return {dz};
  };
  return attach_backward(y, {x.before}, "LinearBackward", backward);
}

}  // namespace meshfold::models::ops
