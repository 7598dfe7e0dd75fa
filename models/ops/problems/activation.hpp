#pragma once

#include <ATen/core/Tensor.h>

namespace meshfold::models::ops {

enum class Activation { kNone, kGelu /* erf */, kGeluTanh, kTanh, kRelu };

struct Activations {
  at::Tensor z;  ///< sums + bias, rounded once
  at::Tensor y;  ///< activation(z); for kNone z itself
};

struct ActivationGradients {
  at::Tensor dz;    ///< as z
  at::Tensor bias;  ///< fp32 [width], rows summed in a fixed order
};

}  // namespace meshfold::models::ops
