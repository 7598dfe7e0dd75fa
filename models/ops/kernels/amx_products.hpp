#pragma once

#include "models/ops/kernels/bf16_products.hpp"

namespace meshfold::models::ops::kernels {

/// By AMX tiles, only where base::has_amx_bf16(); null on other CPUs than x86-64. The summed dim may be odd. Sums are
/// fp32, one accumulator an element over the whole summed dim (weight gradients: over runs of 2048 rows), in an order
/// that depends on the column alone.
ProductKernels tile_products();

}  // namespace meshfold::models::ops::kernels
