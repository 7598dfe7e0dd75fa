#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "models/parameters/parameter_store.hpp"

/// Boxes are how pieces of tensors are named in a checkpoint: start and extent per dim, in the tensor's own
/// coordinates.
namespace meshfold::jobs::checkpoint {

models::Box whole_box(const std::vector<std::int64_t>& shape);
std::int64_t volume(const models::Box& box);  ///< elements; 1 for a scalar
/// Whether `box` has as many dims as `shape` and lies inside.
bool lies_inside(const models::Box& box, const std::vector<std::int64_t>& shape);
/// The common part; nullopt if there is none. Both of the same number of dims.
std::optional<models::Box> intersection(const models::Box& a, const models::Box& b);
/// The elements of `part` in `tensor`, which holds `held`; a view.
at::Tensor view_of(const at::Tensor& tensor, const models::Box& held, const models::Box& part);

}  // namespace meshfold::jobs::checkpoint
