#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>

#include "base/philox.hpp"

/// The draws of base/philox.hpp in LibTorch operations on int64 tensors: the same bits on any device.
namespace meshfold::models::ops::aten {

/// Four words in [0, 2^32), int64, of shapes that broadcast.
using PhiloxWords = std::array<at::Tensor, 4>;

/// base::philox4x32_10 of every element.
PhiloxWords philox4x32_10(PhiloxWords counter, base::PhiloxKey key);

/// Dropout multipliers, fp32 [..., width]: those of the counters (step, philox_rows, places, column / 8). `philox_rows`
/// and `places` are int64 tensors whose shapes broadcast to [...].
at::Tensor dropout_multipliers(base::PhiloxKey key, std::uint32_t step, base::DropoutThreshold threshold,
                               const at::Tensor& philox_rows, const at::Tensor& places, std::int64_t width);

}  // namespace meshfold::models::ops::aten
