#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

#include "data/dataset.hpp"
#include "dist/mesh.hpp"
#include "models/networks/model.hpp"

namespace meshfold::jobs {

/// Outputs [rows, C] fp32 on the host for the given dataset rows, in their order, on every rank of the mesh.
/// Collective. Rows are cut into packs of at most `max_tokens_per_pack`, shared between the data ranks and gathered by
/// row, never by position; no sample is padded or repeated.
at::Tensor predict_rows(models::Model& model, const dist::Mesh& mesh, const data::Dataset& dataset,
                        std::span<const std::uint32_t> rows, std::int64_t max_tokens_per_pack);

}  // namespace meshfold::jobs
