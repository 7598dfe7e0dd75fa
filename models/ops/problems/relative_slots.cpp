#include "models/ops/problems/relative_slots.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <stdexcept>
#include <string>

namespace meshfold::models::ops {
namespace {

void check(const RelativeBuckets& buckets) {
  const std::int64_t middle = buckets.num_buckets / 2;
  const bool usable =
      buckets.num_buckets == 0 ? buckets.max_distance > 0 : middle > 0 && buckets.max_distance - 1 > middle;
  if (usable) return;
  throw std::invalid_argument(std::to_string(buckets.num_buckets) + " buckets cannot number distances to " +
                              std::to_string(buckets.max_distance));
}

/// Buckets of the distances 0 .. count - 1. In fp32 by LibTorch's own functions, because a rounding in the logarithm
/// would move a boundary between buckets away from where the model was trained with it.
std::vector<std::int64_t> buckets_of_distances(const RelativeBuckets& buckets, std::int64_t count) {
  const at::Tensor distances = at::arange(count, at::kLong);
  at::Tensor result = distances;
  if (buckets.num_buckets > 0) {
    const std::int64_t middle = buckets.num_buckets / 2;
    const double ratio = static_cast<double>(buckets.max_distance - 1) / static_cast<double>(middle);
    const at::Tensor base = at::scalar_tensor(ratio, at::kFloat).log();
    const at::Tensor beyond =
        at::ceil(at::log(at::true_divide(at::clamp_min(distances, middle), middle)) / base * (middle - 1)) + middle;
    result = at::where(distances <= middle, distances, beyond.to(at::kLong));
  }
  const auto* values = result.const_data_ptr<std::int64_t>();
  return {values, values + count};
}

}  // namespace

RelativeSlots::RelativeSlots(const RelativeBuckets& buckets, std::int64_t longest) : longest_(longest) {
  check(buckets);
  if (longest == 0) return;
  const std::int64_t span = buckets.span();
  const std::vector<std::int64_t> of_distance = buckets_of_distances(buckets, longest);
  const auto row_of = [&](std::int64_t distance) {
    const std::int64_t bucket = of_distance[static_cast<std::size_t>(std::abs(distance))];
    return std::clamp<std::int64_t>((distance < 0 ? -bucket : bucket) + span, 0, 2 * span - 1);
  };
  first_ = row_of(1 - longest);
  count_ = row_of(longest - 1) - first_ + 1;
  for (std::int64_t distance = longest - 1; distance > -longest; --distance) {
    by_descending_distance_.push_back(static_cast<std::int32_t>(row_of(distance) - first_));
  }
  by_rising_distance_.assign(by_descending_distance_.rbegin(), by_descending_distance_.rend());
  for (std::size_t i = 1; i < by_rising_distance_.size(); ++i)
    rises_one_by_one_ &= by_rising_distance_[i] - by_rising_distance_[i - 1] <= 1;
  constexpr std::size_t kVector = 16;
  by_rising_distance_.insert(by_rising_distance_.end(), kVector, by_rising_distance_.back());
}

std::int64_t longest_input(const PackedInput& input) {
  std::int64_t longest = 0;
  for (std::int64_t s = 0; s < input.num_inputs(); ++s)
    longest = std::max<std::int64_t>(longest, input.cu_seqlens[s + 1] - input.cu_seqlens[s]);
  return longest;
}

}  // namespace meshfold::models::ops
