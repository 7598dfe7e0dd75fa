#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/mapped_file.hpp"
#include "models/parameters/parameter_store.hpp"

namespace meshfold::models {

/// What a file says of one tensor.
struct TensorDescription {
  at::ScalarType type;
  std::vector<std::int64_t> shape;
};

/// A mapped file of named tensors, read by pieces: model.safetensors or pytorch_model.bin.
class TensorFile {
 public:
  virtual ~TensorFile() = default;
  virtual const std::filesystem::path& path() const = 0;
  /// Names in the file, sorted.
  virtual std::vector<std::string> names() const = 0;
  /// Throws ModelFileError if the file has no tensor of that name.
  virtual const TensorDescription& description(const std::string& name) const = 0;
  /// Copies the piece `box` of `name` into `out` (dense, CPU, shape box.extent; an fp32 target may take F32, F16 and
  /// BF16 sources). Throws ModelFileError for a piece outside the tensor and for another element type.
  void read_box(const std::string& name, const Box& box, at::Tensor out) const;
  /// A copy of the whole tensor on the CPU.
  at::Tensor tensor(const std::string& name) const;

 protected:
  TensorFile() = default;
  TensorFile(const TensorFile&) = default;
  TensorFile& operator=(const TensorFile&) = default;

  /// Where the elements of a tensor lie, all of them inside the mapped file.
  struct Elements {
    const char* first;                  ///< need not be aligned
    std::vector<std::int64_t> strides;  ///< in elements, none negative
  };
  /// Checks what is checked only when data are wanted. `name` is known to be in the file.
  virtual Elements elements(const std::string& name) const = 0;
};

/// A whole file of tensors mapped into memory. Throws ModelFileError if it cannot be read or has fewer than
/// `least_bytes` bytes.
base::MappedFile map_tensor_file(const std::filesystem::path& file, std::uint64_t least_bytes);

/// Strides of a dense row-major tensor.
std::vector<std::int64_t> row_major_strides(const std::vector<std::int64_t>& shape);

}  // namespace meshfold::models
