#pragma once

#include <memory>

#include "dist/gpu/gpu_runtime.hpp"

namespace meshfold::dist {

/// The CUDA runtime; tensors through LibTorch's streams and its caching allocator.
std::unique_ptr<GpuRuntime> make_cuda_gpu_runtime();

}  // namespace meshfold::dist
