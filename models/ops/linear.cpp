#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "models/ops/activation.hpp"
#include "models/ops/autograd.hpp"
#include "models/ops/matmul.hpp"
#include "models/ops/ops.hpp"

namespace meshfold::models::ops {

at::Tensor linear(const at::Tensor& x, const ParameterView& weight, const ParameterView& bias, Activation activation,
                  const ForwardContext& context) {
  const at::ScalarType type = weight.compute.scalar_type();
  const at::NoGradGuard no_graph;  // the block is the graph
  const at::Tensor input = x.detach().to(type).contiguous();
  const Keep keep = context.mode == Mode::kTraining ? Keep::kPreActivationToo : Keep::kOutput;
  const auto [pre_activation, y] = linear_forward(input, weight.compute, bias.value, activation, keep);
  if (context.mode != Mode::kTraining) return y;
  const auto backward = [=, z = pre_activation, x_type = x.scalar_type(),
                         sink = context.gradients](const at::Tensor& dy) -> std::vector<at::Tensor> {
    const auto gradients = activation_backward(dy, z, activation);
    sink->add_product(weight, gradients.dz, input);
    sink->add(bias, gradients.bias);
    return {product_input_gradient(gradients.dz, weight.compute, x_type)};
  };
  return attach_backward(y, {x}, "LinearBackward", backward);
}

}  // namespace meshfold::models::ops
