#include "jobs/train/optimizer.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "jobs/train/adamw.hpp"
#include "jobs/train/sgd.hpp"

namespace meshfold::jobs {
namespace {

/// Elements that one thread updates at a time: four arrays of this many floats stay in its L2 cache.
constexpr std::int64_t kChunk = 32 * 1024;

}  // namespace

Optimizer::Optimizer(const models::ParameterStore& store, ElementRanges ranges)
    : store_(store), ranges_(std::move(ranges)) {
  for (const ElementRange& range : ranges_) {
    for (const models::Parameter& parameter : store) {
      const bool decays = parameter.spec.decay == models::Decay::kYes;
      const std::int64_t end = std::min(parameter.view.offset + parameter.num_elements, range.end);
      for (std::int64_t begin = std::max(parameter.view.offset, range.begin); begin < end; begin += kChunk) {
        const std::int64_t chunk_end = std::min(begin + kChunk, end);
        chunks_.push_back({begin, chunk_end, num_elements_, decays, parameter.spec.rate});
        num_elements_ += chunk_end - begin;
      }
    }
  }
}

std::vector<Optimizer::Chunk> Optimizer::spans() const {
  std::vector<Chunk> spans;
  for (const Chunk& chunk : chunks_) {
    const bool continues = !spans.empty() && spans.back().end == chunk.begin && spans.back().decays == chunk.decays &&
                           spans.back().rate == chunk.rate;
    if (continues) {
      spans.back().end = chunk.end;
    } else {
      spans.push_back(chunk);
    }
  }
  return spans;
}

void Optimizer::check_gradient(const at::Tensor& values) const {
  if (values.numel() != store_.num_elements() || values.scalar_type() != at::kFloat || !values.is_contiguous()) {
    throw std::invalid_argument("Optimizer::step wants one dense fp32 gradient for every element of the store");
  }
}

std::int64_t state_bytes_per_element(OptimizerKind kind) {
  return kind == OptimizerKind::kAdamW ? 2 * static_cast<std::int64_t>(sizeof(float)) : 0;
}

ElementRanges whole_range(const models::ParameterStore& store) { return {{0, store.num_elements()}}; }

std::unique_ptr<Optimizer> make_optimizer(const models::ParameterStore& store, const OptimizerConfig& config,
                                          ElementRanges ranges) {
  if (config.kind == OptimizerKind::kSgd) return std::make_unique<Sgd>(store, config, std::move(ranges));
  return std::make_unique<AdamW>(store, config, std::move(ranges));
}

}  // namespace meshfold::jobs
