#include "jobs/train/adamw.hpp"

#include <ATen/ATen.h>

#include <cmath>
#include <cstddef>
#include <utility>

#include "models/ops/back_end.hpp"

namespace meshfold::jobs {
namespace {

/// The constants of one update.
struct Update {
  float gradient_scale;
  float beta1_rest, beta2, beta2_rest;
  float root_bias_correction2;  ///< sqrt(1 - beta2^t)
  float epsilon;
};

/// What the learning rate decides, of one parameter.
struct Rate {
  float decay_factor;  ///< 1 - learning rate x weight decay; 1 for what does not decay
  float step_size;     ///< learning rate / (1 - beta1^t)
};

/// Element by element, and square root and division are correctly rounded, so neither the instruction set nor the cut
/// changes a bit.
__attribute__((target_clones("default", "avx2"))) void update_elements(const Update& u, std::int64_t n,
                                                                       const Rate& rate,
                                                                       const float* __restrict gradient,
                                                                       float* __restrict value, float* __restrict first,
                                                                       float* __restrict second) {
  for (std::int64_t i = 0; i < n; ++i) {
    const float g = gradient[i] * u.gradient_scale;
    const float m = first[i] + u.beta1_rest * (g - first[i]);
    const float v = second[i] * u.beta2 + u.beta2_rest * g * g;
    const float denominator = std::sqrt(v) / u.root_bias_correction2 + u.epsilon;
    value[i] = value[i] * rate.decay_factor - rate.step_size * (m / denominator);
    first[i] = m;
    second[i] = v;
  }
}

/// The same update of whole tensors on any device.
void update_in_libtorch(const Update& u, const Rate& rate, const at::Tensor& gradient, at::Tensor value,
                        at::Tensor first, at::Tensor second) {
  const at::Tensor g = gradient * u.gradient_scale;
  first.add_((g - first).mul_(u.beta1_rest));
  second.mul_(u.beta2).add_((g * u.beta2_rest).mul_(g));
  const at::Tensor denominator = second.sqrt().div_(u.root_bias_correction2).add_(u.epsilon);
  value.mul_(rate.decay_factor).sub_(at::div(first, denominator).mul_(rate.step_size));
}

}  // namespace

AdamW::AdamW(const models::ParameterStore& store, const OptimizerConfig& config, ElementRanges ranges)
    : Optimizer(store, std::move(ranges)),
      config_(config),
      first_moment_(at::zeros({num_elements()}, store.flat().options())),
      second_moment_(at::zeros({num_elements()}, store.flat().options())) {}

std::vector<Optimizer::State> AdamW::states() const {
  return {{"first_moment", first_moment_}, {"second_moment", second_moment_}};
}

void AdamW::step(const at::Tensor& gradient, double gradient_scale, double learning_rate) {
  check_gradient(gradient);
  ++num_updates_;
  const auto t = static_cast<double>(num_updates_);
  Update update;
  update.gradient_scale = static_cast<float>(gradient_scale);
  update.beta1_rest = static_cast<float>(1.0 - config_.beta1);
  update.beta2 = static_cast<float>(config_.beta2);
  update.beta2_rest = static_cast<float>(1.0 - config_.beta2);
  const double bias_correction1 = 1.0 - std::pow(config_.beta1, t);
  update.root_bias_correction2 = static_cast<float>(std::sqrt(1.0 - std::pow(config_.beta2, t)));
  update.epsilon = static_cast<float>(config_.epsilon);

  const auto rate_of = [&](const Chunk& chunk) {
    const double rate = learning_rate * chunk.rate, decay = chunk.decays ? config_.weight_decay : 0.0;
    return Rate{static_cast<float>(1.0 - rate * decay), static_cast<float>(rate / bias_correction1)};
  };
  if (models::ops::back_end_of(gradient) == models::ops::BackEnd::kAten) {
    for (const Chunk& span : spans()) {
      if (span.rate == 0.0) continue;
      const std::int64_t count = span.end - span.begin, own = span.state;
      update_in_libtorch(update, rate_of(span), gradient.narrow(0, span.begin, count),
                         store_.flat().narrow(0, span.begin, count), first_moment_.narrow(0, own, count),
                         second_moment_.narrow(0, own, count));
    }
    return;
  }
  const float* gradients = gradient.const_data_ptr<float>();
  auto* values = store_.flat().mutable_data_ptr<float>();
  auto* first = first_moment_.mutable_data_ptr<float>();
  auto* second = second_moment_.mutable_data_ptr<float>();
  const auto num_chunks = static_cast<std::int64_t>(chunks_.size());
#pragma omp parallel for schedule(static)
  for (std::int64_t c = 0; c < num_chunks; ++c) {
    const Chunk& chunk = chunks_[static_cast<std::size_t>(c)];
    if (chunk.rate == 0.0) continue;
    update_elements(update, chunk.end - chunk.begin, rate_of(chunk), gradients + chunk.begin, values + chunk.begin,
                    first + chunk.state, second + chunk.state);
  }
}

}  // namespace meshfold::jobs
