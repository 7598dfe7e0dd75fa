#include "models/networks/stage_ranges.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>

#include "base/text.hpp"
#include "models/error.hpp"
#include "models/parameters/parameter_store.hpp"

namespace meshfold::models {
namespace {

constexpr std::int64_t kUnreached = std::numeric_limits<std::int64_t>::max();

/// Dynamic programming over stages: best[s][n] is the least combined cost of giving n layers to the first s stages.
class Balance {
 public:
  Balance(const TokenWork& work, std::int64_t num_layers, int num_stages)
      : work_(work), num_layers_(num_layers), num_stages_(num_stages) {}

  std::vector<LayerRange> ranges() {
    const std::int64_t least_peak =
        solve(kUnreached, [](std::int64_t before, std::int64_t cost) { return std::max(before, cost); });
    // Squares of shares of the peak, so that large models do not overflow.
    solve(least_peak, [least_peak](std::int64_t before, std::int64_t cost) {
      const std::int64_t share = cost / std::max<std::int64_t>(1, least_peak >> 20);
      return before + share * share;
    });
    std::vector<LayerRange> found(static_cast<std::size_t>(num_stages_));
    std::int64_t end = num_layers_;
    for (int stage = num_stages_; stage-- > 0;) {
      const std::int64_t first = first_[index(stage + 1, end)];
      found[static_cast<std::size_t>(stage)] = {first, end};
      end = first;
    }
    return found;
  }

 private:
  std::size_t index(int stages, std::int64_t layers) const {
    return static_cast<std::size_t>(stages * (num_layers_ + 1) + layers);
  }
  std::int64_t cost_of(int stage, std::int64_t layers) const {
    return layers * work_.layer + (stage == 0 ? work_.embeddings : 0) + (stage == num_stages_ - 1 ? work_.head : 0);
  }

  /// Combines the stages' costs, none above `limit`; returns the least value and remembers where stages begin.
  template <typename Combine>
  std::int64_t solve(std::int64_t limit, Combine combine) {
    std::vector<std::int64_t> best(index(num_stages_, num_layers_) + 1, kUnreached);
    first_.assign(best.size(), 0);
    best[index(0, 0)] = 0;
    for (int stage = 0; stage < num_stages_; ++stage) {
      for (std::int64_t end = stage + 1; end <= num_layers_; ++end) {
        for (std::int64_t first = stage; first < end; ++first) {
          const std::int64_t before = best[index(stage, first)], cost = cost_of(stage, end - first);
          if (before == kUnreached || cost > limit) continue;
          const std::int64_t value = combine(before, cost);
          if (value >= best[index(stage + 1, end)]) continue;
          best[index(stage + 1, end)] = value;
          first_[index(stage + 1, end)] = first;
        }
      }
    }
    return best[index(num_stages_, num_layers_)];
  }

  TokenWork work_;
  std::int64_t num_layers_;
  int num_stages_;
  std::vector<std::int64_t> first_;  ///< of the last stage, for each entry of the table
};

std::vector<LayerRange> given_stages(std::span<const int> given, std::int64_t num_layers, int num_stages) {
  const auto sum = std::accumulate(given.begin(), given.end(), std::int64_t{0});
  const bool positive = std::ranges::all_of(given, [](int layers) { return layers > 0; });
  if (static_cast<int>(given.size()) != num_stages || sum != num_layers || !positive) {
    throw LayoutError("pipeline.stages = " + base::joined(given) + " must be " + std::to_string(num_stages) +
                      " numbers of layers, at least one each, that add up to the model's " +
                      std::to_string(num_layers) + "; or leave it empty");
  }
  std::vector<LayerRange> ranges;
  std::int64_t first = 0;
  for (const int layers : given) {
    ranges.push_back({first, first + layers});
    first += layers;
  }
  return ranges;
}

}  // namespace

bool holds(const LayerRange& range, std::int64_t num_layers, const ParameterSpec& parameter) {
  if (parameter.is_of_head()) return range.end == num_layers;
  return parameter.layer ? parameter.is_in_layers(range.first, range.end) : range.first == 0;
}

std::vector<LayerRange> balanced_stages(const TokenWork& work, std::int64_t num_layers, int num_stages) {
  if (num_stages > num_layers) {
    throw LayoutError("mesh.pipeline = " + std::to_string(num_stages) + ": the model has " +
                      std::to_string(num_layers) + " layers, and a stage needs at least one; take fewer stages");
  }
  return Balance(work, num_layers, num_stages).ranges();
}

std::vector<LayerRange> stage_ranges(const TokenWork& work, std::int64_t num_layers, int num_stages,
                                     std::span<const int> given) {
  if (num_stages == 1) return {{0, num_layers}};
  if (!given.empty()) return given_stages(given, num_layers, num_stages);
  return balanced_stages(work, num_layers, num_stages);
}

}  // namespace meshfold::models
