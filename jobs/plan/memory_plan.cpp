#include "jobs/plan/memory_plan.hpp"

#include "jobs/train/optimizer.hpp"
#include "models/gradients/gradient_accumulator.hpp"

namespace meshfold::jobs {

RankMemory kept_memory(const models::ParameterStore& store, const RunConfig& config, const ExchangeLayout& exchange,
                       int packs) {
  const auto set_bytes = static_cast<std::int64_t>(store.flat().nbytes());
  const auto summation = config.training.deterministic ? models::Summation::kTree : models::Summation::kInOrder;
  RankMemory memory;
  memory.weights = set_bytes;
  memory.compute_copies = store.compute_copy_bytes();
  memory.gradients = set_bytes;
  memory.deterministic_sets = (models::num_gradient_sets(summation, packs) - 1) * set_bytes;
  memory.optimizer = num_elements(exchange.owned()) * state_bytes_per_element(config.optimizer.kind);
  return memory;
}

std::int64_t checkpoint_bytes(const models::ParameterStore& whole_model, const OptimizerConfig& optimizer) {
  const auto value_bytes = static_cast<std::int64_t>(sizeof(float));
  std::int64_t bytes = 0;
  for (const models::Parameter& parameter : whole_model) {
    const bool learns = parameter.spec.rate > 0;
    bytes += parameter.num_elements * (value_bytes + (learns ? state_bytes_per_element(optimizer.kind) : 0));
  }
  return bytes;
}

}  // namespace meshfold::jobs
