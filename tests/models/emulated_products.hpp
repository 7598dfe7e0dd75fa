#pragma once

#include "models/ops/kernels/bf16_products.hpp"

namespace meshfold::models::ops::kernels {

/// tile_products() as they are, on emulated tiles.
ProductKernels emulated_products();

}  // namespace meshfold::models::ops::kernels
