#include "models/ops/aten/elementwise.hpp"

#include <ATen/ATen.h>

namespace meshfold::models::ops::aten {
namespace {

/// dy x slope(z), fp32.
at::Tensor activation_gradient(const at::Tensor& dy, const at::Tensor& z, Activation activation) {
  switch (activation) {
    case Activation::kNone:
      return dy;
    case Activation::kGelu:
      return at::gelu_backward(dy, z);
    case Activation::kGeluTanh:
      return at::gelu_backward(dy, z, "tanh");
    case Activation::kTanh:
      return at::tanh_backward(dy, z.tanh());
    case Activation::kRelu:
      return at::threshold_backward(dy, z, 0);
  }
  return dy;
}

at::Tensor drop(const at::Tensor& x, const RowDropout* dropout) {
  return dropout && dropout->active() ? x * dropout->multipliers(x.size(1), x.device()) : x;
}

at::Tensor in_fp32(const at::Tensor& z, Activation activation) {
  switch (activation) {
    case Activation::kNone:
      return z;
    case Activation::kGelu:
      return at::gelu(z);
    case Activation::kGeluTanh:
      return at::gelu(z, "tanh");
    case Activation::kTanh:
      return z.tanh();
    case Activation::kRelu:
      return z.relu();
  }
  return z;
}

at::Tensor activate(const at::Tensor& z, Activation activation) {
  if (activation == Activation::kNone) return z;
  return in_fp32(z.to(at::kFloat), activation).to(z.scalar_type());
}

}  // namespace

Activations add_bias_and_activate(at::Tensor sums, const at::Tensor& bias, Activation activation, at::ScalarType type) {
  const at::Tensor z = (bias.defined() ? sums.add_(bias) : sums).to(type);
  return {z, activate(z, activation)};
}

at::Tensor multiply_by_slope(at::Tensor gradient, const at::Tensor& z, Activation activation) {
  gradient.copy_(activation_gradient(gradient.to(at::kFloat), z.to(at::kFloat), activation));
  return activate(z, activation);
}

ActivationGradients activation_backward(const at::Tensor& dy, const at::Tensor& z, Activation activation) {
  if (activation == Activation::kNone) return {dy, dy.sum(0, /*keepdim=*/false, at::kFloat)};
  const at::Tensor gradient = activation_gradient(dy.to(at::kFloat), z.to(at::kFloat), activation);
  return {gradient.to(dy.scalar_type()), gradient.sum(0)};
}

NormResult norm_forward(const NormInput& input) {
  const at::Tensor h = input.x.defined() ? input.base + drop(input.x.to(at::kFloat), input.before) : input.base;
  const at::Tensor centred = h - h.mean(1, /*keepdim=*/true);
  NormResult result;
  result.rstd = (centred.square().mean(1) + input.epsilon).sqrt().reciprocal();
  const at::Tensor normalized = centred * result.rstd.unsqueeze(1);
  result.normalized = normalized.to(input.x.defined() ? input.x.scalar_type() : at::kFloat);
  const at::Tensor scaled = normalized * input.gamma;
  result.y = drop(input.beta.defined() ? scaled + input.beta : scaled, input.after);
  return result;
}

NormGradients norm_backward(const at::Tensor& dy, const NormResult& saved, const at::Tensor& gamma,
                            const RowDropout* before, const RowDropout* after, at::ScalarType x_type) {
  const at::Tensor gradient = drop(dy, after), scaled = gradient * gamma, normalized = saved.normalized.to(at::kFloat);
  NormGradients gradients;
  gradients.gamma = (gradient * normalized).sum(0);
  gradients.beta = gradient.sum(0);
  const at::Tensor projection = (scaled * normalized).mean(1, /*keepdim=*/true);
  gradients.base = saved.rstd.unsqueeze(1) * (scaled - scaled.mean(1, /*keepdim=*/true) - normalized * projection);
  if (x_type != at::ScalarType::Undefined) gradients.x = drop(gradients.base, before).to(x_type);
  return gradients;
}

}  // namespace meshfold::models::ops::aten
