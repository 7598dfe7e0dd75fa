#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "jobs/train/optimizer.hpp"

namespace meshfold::jobs {

/// AdamW (Loshchilov & Hutter 2019, as torch.optim.AdamW) over ranges of a store's flat storage, one fused pass.
class AdamW final : public Optimizer {
 public:
  AdamW(const models::ParameterStore& store, const OptimizerConfig& config)
      : AdamW(store, config, whole_range(store)) {}
  AdamW(const models::ParameterStore& store, const OptimizerConfig& config, ElementRanges ranges);
  void step(const at::Tensor& gradient, double gradient_scale, double learning_rate) override;
  std::vector<State> states() const override;

 private:
  OptimizerConfig config_;
  at::Tensor first_moment_, second_moment_;  ///< fp32 [num_elements()]
};

}  // namespace meshfold::jobs
