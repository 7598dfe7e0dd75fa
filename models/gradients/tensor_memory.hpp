#pragma once

#include <cstdint>
#include <memory>

namespace meshfold::models {

/// Counts the bytes of host tensors from now on: LibTorch's own blocks with their alignment, not what kernels keep on
/// the side. Costs two atomic additions a tensor. Called once, before the tensors that are to be counted; later calls
/// do nothing.
void count_tensor_memory();

/// Counts a host tensor whose memory is not from LibTorch's allocator, as long as the result lives.
std::shared_ptr<const void> count_tensor_outside_libtorch(std::uint64_t bytes);

/// Bytes of the host tensors that are alive; 0 if nothing is counted.
std::uint64_t live_tensor_bytes();
/// The most of them at once since the last restart_tensor_peak(), or since counting began.
std::uint64_t peak_tensor_bytes();
void restart_tensor_peak();

}  // namespace meshfold::models
