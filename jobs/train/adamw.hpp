#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "jobs/train/optimizer.hpp"

namespace meshfold::jobs {

/// AdamW (Loshchilov & Hutter 2019, as torch.optim.AdamW) over ranges of a store's flat storage, one fused pass. On the
/// host, moments of elements that never had a gradient take no memory.
class AdamW final : public Optimizer {
 public:
  AdamW(const models::ParameterStore& store, const OptimizerConfig& config)
      : AdamW(store, config, whole_range(store)) {}
  AdamW(const models::ParameterStore& store, const OptimizerConfig& config, ElementRanges ranges);
  void step(const models::FlatGradient& gradient, double gradient_scale, double learning_rate) override;
  std::vector<State> states() const override;
  void resume(std::int64_t num_updates) override;

 private:
  OptimizerConfig config_;
  at::Tensor first_moment_, second_moment_;  ///< fp32 [num_elements()], zero_pages()
  std::vector<std::int64_t> first_blocks_;   ///< of each chunk, cut into models::WrittenBlocks::kBlock elements
  std::vector<std::uint8_t> has_moments_;    ///< of each block: its moments were written
};

}  // namespace meshfold::jobs
