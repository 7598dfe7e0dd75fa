#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "models/context/dropout.hpp"
#include "models/context/forward_context.hpp"
#include "models/context/packed_input.hpp"
#include "models/parameters/parameter_view.hpp"

/// Blocks that look rows of tables up, fp32.
namespace meshfold::models::ops {

/// Tables whose rows are added for each token: all [rows, W]; positions and segments may be undefined.
struct EmbeddingTables {
  ParameterView words, positions, segments;
};

/// word[token] + position[pos] + segment[seg], [T, W]. Throws invalid_argument for an index that a table lacks.
at::Tensor sum_embeddings(const PackedInput& input, const EmbeddingTables& tables, const ForwardContext& context);
/// norm() of sum_embeddings().
at::Tensor embed(const PackedInput& input, const EmbeddingTables& tables, const Norm& after, const DropoutSite& dropout,
                 const ForwardContext& context);

/// A contiguous part of a table of relative embeddings: the slots that a pack touches.
struct SlotRows {
  std::int64_t first = 0, count = 0;
};

/// These rows of the table, [count, H].
at::Tensor relative_embeddings(const ParameterView& table, const SlotRows& rows, const ForwardContext& context);

/// Dropout of relative embeddings x [count, H]: counter (step, 2^32 - 1, slot, column / 8), so every pack of a step
/// draws the same mask for a slot.
at::Tensor dropout_slots(const at::Tensor& x, const SlotRows& rows, const DropoutSite& dropout,
                         const ForwardContext& context);

}  // namespace meshfold::models::ops
