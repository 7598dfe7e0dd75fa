#pragma once

#include <ATen/core/Tensor.h>

namespace meshfold::models::ops {

/// Which code computes a block. Every block asks at its entry, in forward and in backward.
enum class BackEnd {
  kHost,  ///< the kernels of this folder, on pointers into host memory
  kAten,  ///< aten/: LibTorch operations alone, on whatever device the tensors lie
};

/// kHost for tensors in host memory, kAten for all others.
BackEnd back_end_of(const at::Tensor& tensor);

/// While one is alive tensors in host memory take kAten too, on every thread. For tests; they nest.
class AtenEverywhere {
 public:
  AtenEverywhere();
  ~AtenEverywhere();
  AtenEverywhere(const AtenEverywhere&) = delete;
  AtenEverywhere& operator=(const AtenEverywhere&) = delete;
};

}  // namespace meshfold::models::ops
