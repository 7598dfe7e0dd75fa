#pragma once

#include <memory>

#include "dist/gpu/gpu_libraries.hpp"

namespace meshfold::dist {

/// The CUDA runtime and NCCL.
class BuiltInGpu {
 public:
  virtual ~BuiltInGpu() = default;
  virtual GpuLibraries libraries() = 0;
};

/// Null in a program that was built without CUDA. Touches no device.
std::unique_ptr<BuiltInGpu> built_in_gpu();

}  // namespace meshfold::dist
