#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <type_traits>

namespace meshfold::models::ops {

/// Rows of a matrix that lie `stride` elements apart.
template <typename T>
struct StridedRows {
  T* data = nullptr;
  std::int64_t stride = 0;

  T* operator[](std::int64_t row) const { return data + row * stride; }
  StridedRows from(std::int64_t row) const { return {data + row * stride, stride}; }
  /// The same rows from `column` on.
  StridedRows columns_from(std::int64_t column) const { return {data ? data + column : nullptr, stride}; }
};

/// The rows of a matrix in host memory whose columns are contiguous; null where it is undefined.
template <typename T>
StridedRows<T> rows_of(const at::Tensor& matrix) {
  if (!matrix.defined()) return {};
  if constexpr (std::is_const_v<T>) {
    return {matrix.const_data_ptr<std::remove_const_t<T>>(), matrix.stride(0)};
  } else {
    return {matrix.mutable_data_ptr<T>(), matrix.stride(0)};
  }
}

}  // namespace meshfold::models::ops
