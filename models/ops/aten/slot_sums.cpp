#include "models/ops/aten/slot_sums.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <vector>

namespace meshfold::models::ops::aten {
namespace {

/// values [B, H, R, C] whose last dim is cut, for each r, into segments of lengths[r]: their sums [B, H, R, A].
at::Tensor sum_segments(const at::Tensor& values, const at::Tensor& lengths) {
  const at::Tensor sums = at::segment_reduce(values.permute({2, 3, 0, 1}).contiguous(), "sum", lengths, {}, {},
                                             /*axis=*/1, /*unsafe=*/true, /*initial=*/0);
  return sums.permute({2, 3, 0, 1});
}

}  // namespace

StripSlots::StripSlots(const RelativeSlots& slots, std::int64_t length, std::int64_t first, std::int64_t count,
                       at::Device device) {
  const at::TensorOptions options = at::TensorOptions(at::kLong).device(device);
  // A slot that no distance has gets a range that ends before it begins.
  std::vector<std::int64_t> of_distance, lowest(slots.count(), length), highest(slots.count(), -length);
  for (std::int64_t distance = 1 - length; distance < length; ++distance) {
    const auto slot = static_cast<std::size_t>(slots.slot(distance));
    of_distance.push_back(slots.slot(distance));
    lowest[slot] = std::min(lowest[slot], distance);
    highest[slot] = std::max(highest[slot], distance);
  }
  const at::Tensor query = at::arange(first, first + count, options).unsqueeze(1), key = at::arange(length, options);
  slot_ =
      at::tensor(of_distance, options).index_select(0, (query - key + (length - 1)).flatten()).view({count, length});
  const at::Tensor low = at::tensor(lowest, options), high = at::tensor(highest, options);
  keys_of_slot_ = ((query - low).clamp_max(length - 1) - (query - high).clamp_min(0) + 1).clamp_min(0);
  const at::Tensor keys = key.unsqueeze(1);
  queries_of_slot_ = ((keys + high).clamp_max(first + count - 1) - (keys + low).clamp_min(first) + 1).clamp_min(0);
}

at::Tensor StripSlots::of_keys(const at::Tensor& values) const {
  return values.gather(3, slot_.expand({values.size(0), values.size(1), slot_.size(0), slot_.size(1)}));
}

at::Tensor StripSlots::of_queries(const at::Tensor& values) const {
  const at::Tensor by_key = slot_.t().expand({values.size(0), values.size(1), slot_.size(1), slot_.size(0)});
  return values.gather(3, by_key).transpose(2, 3);
}

at::Tensor StripSlots::sum_over_keys(const at::Tensor& scores) const {
  return sum_segments(scores.flip(3), keys_of_slot_);  // a rising key is a falling distance
}

at::Tensor StripSlots::sum_over_queries(const at::Tensor& scores) const {
  return sum_segments(scores.transpose(2, 3), queries_of_slot_);
}

}  // namespace meshfold::models::ops::aten
