#include "jobs/train/pack_input.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace meshfold::jobs {
namespace {

/// int64 copy; the batch keeps its own values.
at::Tensor indices(const std::vector<std::int32_t>& values, at::Device device) {
  // from_blob wants a mutable pointer but nothing writes through it.
  return at::from_blob(const_cast<std::int32_t*>(values.data()), {static_cast<std::int64_t>(values.size())},
                       at::TensorOptions(at::kInt))
      .to(at::TensorOptions(device).dtype(at::kLong));
}

}  // namespace

models::PackedInput to_packed_input(const data::PackedBatch& batch, at::Device device) {
  models::PackedInput input;
  input.token_ids = indices(batch.token_ids, device);
  input.positions = indices(batch.positions, device);
  input.segments = indices(batch.segments, device);
  input.cu_seqlens = batch.cu_seqlens;
  input.views_per_sample = batch.views_per_sample;
  input.philox_rows.reserve(batch.rows.size() * batch.views_per_sample);
  for (const std::uint32_t row : batch.rows) {
    for (std::uint32_t view = 0; view < batch.views_per_sample; ++view) {
      input.philox_rows.push_back(row * batch.views_per_sample + view);
    }
  }
  if (!batch.features.empty()) {
    const auto samples = static_cast<std::int64_t>(batch.rows.size());
    input.features = at::from_blob(const_cast<float*>(batch.features.data()),
                                   {samples, static_cast<std::int64_t>(batch.features.size()) / samples},
                                   at::TensorOptions(at::kFloat))
                         .to(at::TensorOptions(device), /*non_blocking=*/false, /*copy=*/true);
  }
  return input;
}

at::Tensor to_targets(const data::PackedBatch& batch, at::Device device) {
  const auto samples = static_cast<std::int64_t>(batch.rows.size());
  const std::int64_t width = samples == 0 ? 0 : static_cast<std::int64_t>(batch.targets.size()) / samples;
  return at::from_blob(const_cast<float*>(batch.targets.data()), {samples, width}, at::TensorOptions(at::kFloat))
      .to(at::TensorOptions(device), /*non_blocking=*/false, /*copy=*/true);
}

at::Tensor targets_of(const data::Dataset& dataset, std::span<const std::uint32_t> rows) {
  const std::int64_t width = dataset.num_targets();
  at::Tensor targets = at::empty({static_cast<std::int64_t>(rows.size()), width}, at::kFloat);
  auto* out = targets.mutable_data_ptr<float>();
  for (const std::uint32_t row : rows) out = std::ranges::copy(dataset.targets(row), out).out;
  return targets;
}

}  // namespace meshfold::jobs
