#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "dist/mesh.hpp"
#include "jobs/checkpoint/store.hpp"
#include "jobs/train/optimizer.hpp"

namespace meshfold::jobs {

/// Which data ranks hold values.
enum class HeldBy { kAllDataRanks, kThisDataRank };

/// One value per element of `ranges` of the store's flat storage, as pieces of tensors named `prefix` + parameter: what
/// a checkpoint stores and loads. `values` [elements of the ranges] covers whole rows of every parameter.
std::vector<checkpoint::Piece> pieces_of(const std::string& prefix, const models::ParameterStore& store,
                                         const ElementRanges& ranges, const at::Tensor& values, HeldBy held_by,
                                         const dist::Mesh& mesh);

}  // namespace meshfold::jobs
