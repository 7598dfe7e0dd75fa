#pragma once

#include <ATen/core/Tensor.h>

#include "models/ops/ops.hpp"

namespace meshfold::models::ops {

/// A contiguous part of a table of relative embeddings: the slots that a pack touches.
struct SlotRows {
  std::int64_t first = 0, count = 0;
};

/// These rows of the table, normalised if gamma is defined. fp32 [count, H].
at::Tensor relative_embeddings(const ParameterView& table, const SlotRows& rows, const ParameterView& gamma,
                               const ParameterView& beta, double epsilon, const ForwardContext& context);

/// Dropout of relative embeddings x [count, H]: counter (step, 2^32 - 1, slot, column / 8), so every pack of a step
/// draws the same mask for a slot.
at::Tensor dropout_slots(const at::Tensor& x, const SlotRows& rows, const DropoutSite& dropout,
                         const ForwardContext& context);

}  // namespace meshfold::models::ops
