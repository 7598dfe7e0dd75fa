#pragma once

#include <cstdint>

/// Between one head's columns of packed rows and its own contiguous fp32 rows.
namespace meshfold::models::ops {

/// out [rows, width] from `rows` rows of `width` columns that lie `stride` elements apart.
template <typename T>
void gather_rows(const T* source, std::int64_t stride, std::int64_t rows, std::int64_t width, float* out) {
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t i = 0; i < width; ++i) out[r * width + i] = static_cast<float>(source[r * stride + i]);
  }
}

/// The other way, rounded to the target's type.
template <typename T>
void scatter_rows(const float* in, std::int64_t rows, std::int64_t width, T* target, std::int64_t stride) {
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t i = 0; i < width; ++i) target[r * stride + i] = static_cast<T>(in[r * width + i]);
  }
}

}  // namespace meshfold::models::ops
