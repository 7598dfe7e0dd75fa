#pragma once

#include <cstdint>

#include "jobs/config/run_config.hpp"
#include "jobs/train/exchange_layout.hpp"
#include "models/parameters/parameter_store.hpp"

namespace meshfold::jobs {

/// Bytes of tensors on one rank, by kind.
struct RankMemory {
  std::int64_t weights = 0;             ///< fp32 masters
  std::int64_t compute_copies = 0;      ///< of matrices, in the compute type
  std::int64_t gradients = 0;           ///< one fp32 set
  std::int64_t deterministic_sets = 0;  ///< further sets, which deterministic sums of packs need
  std::int64_t optimizer = 0;           ///< states of the elements that the rank updates
  std::int64_t activations = 0;         ///< kept for backward, at the most costly moment of all steps
  std::int64_t working = 0;             ///< of the block that is computed at that moment

  std::int64_t total() const {
    return weights + compute_copies + gradients + deterministic_sets + optimizer + activations + working;
  }
};

/// What a rank keeps from step to step. `store`: its parameters, allocated on any device. `packs`: of a rank and step.
RankMemory kept_memory(const models::ParameterStore& store, const RunConfig& config, const ExchangeLayout& exchange,
                       int packs);

/// Bytes of the tensors in a checkpoint: each element of the model once, and the optimizer's states of those that
/// learn.
std::int64_t checkpoint_bytes(const models::ParameterStore& whole_model, const OptimizerConfig& optimizer);

}  // namespace meshfold::jobs
