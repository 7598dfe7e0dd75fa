#include "models/files/tensor_file.hpp"

#include <ATen/Functions.h>

#include <cstring>
#include <stdexcept>

#include "models/error.hpp"

namespace meshfold::models {
namespace {

/// Copies `count` elements that lie `stride` apart and need not be aligned, widening 16-bit floats.
template <typename Source>
void widen(const char* source, std::int64_t stride, std::int64_t count, float* target) {
  for (std::int64_t i = 0; i < count; ++i) {
    Source value;
    std::memcpy(&value, source + i * stride * static_cast<std::int64_t>(sizeof(Source)), sizeof(Source));
    target[i] = static_cast<float>(value);
  }
}

struct Run {
  const char* first;
  std::int64_t stride, count;  ///< in elements
};

void copy_run(at::ScalarType type, const Run& run, char* target, bool same_type) {
  if (!same_type) {
    auto* floats = reinterpret_cast<float*>(target);
    type == at::kHalf ? widen<at::Half>(run.first, run.stride, run.count, floats)
                      : widen<at::BFloat16>(run.first, run.stride, run.count, floats);
    return;
  }
  const auto width = static_cast<std::int64_t>(c10::elementSize(type));
  if (run.stride == 1) {
    std::memcpy(target, run.first, static_cast<std::size_t>(run.count * width));
    return;
  }
  for (std::int64_t i = 0; i < run.count; ++i) {
    std::memcpy(target + i * width, run.first + i * run.stride * width, static_cast<std::size_t>(width));
  }
}

bool box_inside(const Box& box, const std::vector<std::int64_t>& shape) {
  if (box.start.size() != shape.size() || box.extent.size() != shape.size()) return false;
  for (std::size_t d = 0; d < shape.size(); ++d) {
    if (box.start[d] < 0 || box.extent[d] < 0 || box.extent[d] > shape[d] - box.start[d]) return false;
  }
  return true;
}

bool is_empty(const Box& box) {
  for (const std::int64_t extent : box.extent) {
    if (extent == 0) return true;
  }
  return false;
}

/// Calls `visit(first element, stride, count)` for each run of equal stride that the box can be cut into, in row-major
/// order of the box. The box is not empty.
template <typename Visit>
void for_each_run(const Box& box, const std::vector<std::int64_t>& strides, Visit visit) {
  std::size_t outer_dims = strides.size();  // dims before the first that a run covers
  std::int64_t count = 1, stride = 1;
  while (outer_dims > 0) {
    const std::size_t d = outer_dims - 1;
    const bool continues = count == 1 || box.extent[d] == 1 || strides[d] == stride * count;
    if (!continues) break;
    if (count == 1 && box.extent[d] != 1) stride = strides[d];
    count *= box.extent[d];
    outer_dims = d;
  }
  std::vector<std::int64_t> index(outer_dims, 0);
  while (true) {
    std::int64_t first = 0;
    for (std::size_t d = 0; d < strides.size(); ++d) {
      first += (box.start[d] + (d < outer_dims ? index[d] : 0)) * strides[d];
    }
    visit(first, stride, count);
    std::size_t d = outer_dims;
    while (d > 0 && ++index[d - 1] == box.extent[d - 1]) index[--d] = 0;
    if (d == 0) return;
  }
}

}  // namespace

base::MappedFile map_tensor_file(const std::filesystem::path& file, std::uint64_t least_bytes) {
  try {
    base::MappedFile mapped(file);
    if (mapped.size() >= least_bytes) return mapped;
    throw ModelFileError(file.string(), "the file of " + std::to_string(mapped.size()) +
                                            " bytes is too short to hold tensors; fetch it again");
  } catch (const base::UnreadableFile& error) {
    throw ModelFileError(file.string(), std::string("cannot be read: ") + std::strerror(error.error()));
  }
}

std::vector<std::int64_t> row_major_strides(const std::vector<std::int64_t>& shape) {
  std::vector<std::int64_t> strides(shape.size(), 1);
  for (std::size_t d = shape.size(); d-- > 1;) strides[d - 1] = strides[d] * shape[d];
  return strides;
}

void TensorFile::read_box(const std::string& name, const Box& box, at::Tensor out) const {
  const TensorDescription& source = description(name);
  if (!box_inside(box, source.shape)) {
    throw ModelFileError(path().string(),
                         "tensor '" + name + "' does not hold the wanted piece; its shape differs from the model's");
  }
  if (!out.is_cpu() || !out.is_contiguous() || out.sizes() != at::IntArrayRef(box.extent)) {
    throw std::invalid_argument("read_box fills dense CPU tensors of the box's extent");
  }
  const bool same_type = out.scalar_type() == source.type;
  const bool widens = out.scalar_type() == at::kFloat && (source.type == at::kHalf || source.type == at::kBFloat16);
  if (!same_type && !widens) {
    throw ModelFileError(path().string(), "tensor '" + name + "' has element type " +
                                              std::string(c10::toString(source.type)) + " where " +
                                              c10::toString(out.scalar_type()) + " is needed; convert it");
  }
  if (is_empty(box)) return;
  const Elements elements = this->elements(name);
  const auto source_width = static_cast<std::int64_t>(c10::elementSize(source.type));
  const auto target_width = static_cast<std::int64_t>(out.element_size());
  char* target = static_cast<char*>(out.mutable_data_ptr());
  for_each_run(box, elements.strides, [&](std::int64_t first, std::int64_t stride, std::int64_t count) {
    copy_run(source.type, {elements.first + first * source_width, stride, count}, target, same_type);
    target += count * target_width;
  });
}

at::Tensor TensorFile::tensor(const std::string& name) const {
  const TensorDescription& source = description(name);
  at::Tensor copy = at::empty(source.shape, at::TensorOptions().dtype(source.type));
  read_box(name, {std::vector<std::int64_t>(source.shape.size(), 0), source.shape}, copy);
  return copy;
}

}  // namespace meshfold::models
