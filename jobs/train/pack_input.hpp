#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

#include "data/dataset.hpp"
#include "data/pack.hpp"
#include "models/context/packed_input.hpp"

namespace meshfold::jobs {

/// The batch as the models take it, on `device`. Philox rows are dataset row x views + view.
models::PackedInput to_packed_input(const data::PackedBatch& batch, at::Device device);

/// Bytes of its tensors: token ids, positions and segments. Features, a few per sample, count as nothing.
constexpr std::int64_t packed_input_bytes(std::int64_t tokens) {
  return 3 * tokens * static_cast<std::int64_t>(sizeof(std::int64_t));
}

/// The batch's targets, fp32 [samples, C], on `device`.
at::Tensor to_targets(const data::PackedBatch& batch, at::Device device);

/// Targets of any rows of the dataset, fp32 [rows, C], on the host.
at::Tensor targets_of(const data::Dataset& dataset, std::span<const std::uint32_t> rows);

}  // namespace meshfold::jobs
