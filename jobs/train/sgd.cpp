#include "jobs/train/sgd.hpp"

#include <ATen/ATen.h>

#include "models/context/back_end.hpp"

namespace meshfold::jobs {

void Sgd::step(const models::FlatGradient& gradient, double gradient_scale, double learning_rate) {
  check_gradient(gradient.values);
  ++num_updates_;
  const auto scale = static_cast<float>(gradient_scale), decay = static_cast<float>(config_.weight_decay);
  if (models::ops::back_end_of(gradient.values) == models::ops::BackEnd::kAten) {
    for (const Chunk& span : spans()) {
      if (span.rate == 0.0) continue;
      const at::Tensor values = store_.flat().narrow(0, span.begin, span.end - span.begin);
      at::Tensor change = gradient.values.narrow(0, span.begin, span.end - span.begin) * scale;
      if (span.decays) change.add_(values * decay);
      values.sub_(change.mul_(static_cast<float>(learning_rate * span.rate)));
    }
    return;
  }
  const float* gradients = gradient.values.const_data_ptr<float>();
  auto* values = store_.flat().mutable_data_ptr<float>();
  const auto num_chunks = static_cast<std::int64_t>(chunks_.size());
#pragma omp parallel for schedule(static)
  for (std::int64_t c = 0; c < num_chunks; ++c) {
    const Chunk& chunk = chunks_[static_cast<std::size_t>(c)];
    if (chunk.rate == 0.0) continue;
    const auto rate = static_cast<float>(learning_rate * chunk.rate);
    const float chunk_decay = chunk.decays ? decay : 0.0F;
    for (std::int64_t i = chunk.begin; i < chunk.end; ++i) {
      values[i] -= rate * (gradients[i] * scale + chunk_decay * values[i]);
    }
  }
}

}  // namespace meshfold::jobs
