#include "jobs/checkpoint/box.hpp"

#include <algorithm>
#include <cstddef>

namespace meshfold::jobs::checkpoint {

using models::Box;

Box whole_box(const std::vector<std::int64_t>& shape) { return {std::vector<std::int64_t>(shape.size(), 0), shape}; }

std::int64_t volume(const Box& box) {
  std::int64_t elements = 1;
  for (const std::int64_t extent : box.extent) elements *= extent;
  return elements;
}

bool lies_inside(const Box& box, const std::vector<std::int64_t>& shape) {
  if (box.start.size() != shape.size() || box.extent.size() != shape.size()) return false;
  for (std::size_t dim = 0; dim < shape.size(); ++dim) {
    if (box.start[dim] < 0 || box.extent[dim] < 0 || box.start[dim] > shape[dim] - box.extent[dim]) return false;
  }
  return true;
}

std::optional<Box> intersection(const Box& a, const Box& b) {
  Box common;
  for (std::size_t dim = 0; dim < a.start.size(); ++dim) {
    const std::int64_t begin = std::max(a.start[dim], b.start[dim]);
    const std::int64_t end = std::min(a.start[dim] + a.extent[dim], b.start[dim] + b.extent[dim]);
    if (begin >= end) return std::nullopt;
    common.start.push_back(begin);
    common.extent.push_back(end - begin);
  }
  return common;
}

at::Tensor view_of(const at::Tensor& tensor, const Box& held, const Box& part) {
  at::Tensor view = tensor;
  for (std::size_t dim = 0; dim < part.start.size(); ++dim) {
    view = view.narrow(static_cast<std::int64_t>(dim), part.start[dim] - held.start[dim], part.extent[dim]);
  }
  return view;
}

}  // namespace meshfold::jobs::checkpoint
