#pragma once

#include <utility>
#include <vector>

#include "jobs/train/optimizer.hpp"

namespace meshfold::jobs {

/// Stochastic gradient descent without momentum, as torch.optim.SGD: value -= rate * (gradient + weight_decay * value).
/// It remembers nothing, and unlike AdamW it shows a gradient of the wrong scale.
class Sgd final : public Optimizer {
 public:
  Sgd(const models::ParameterStore& store, const OptimizerConfig& config, ElementRanges ranges)
      : Optimizer(store, std::move(ranges)), config_(config) {}
  void step(const models::FlatGradient& gradient, double gradient_scale, double learning_rate) override;
  std::vector<State> states() const override { return {}; }

 private:
  OptimizerConfig config_;
};

}  // namespace meshfold::jobs
