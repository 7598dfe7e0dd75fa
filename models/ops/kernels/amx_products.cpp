#include "models/ops/kernels/amx_products.hpp"

#if defined(__x86_64__)
#include "models/ops/kernels/amx_operations.hpp"
#endif

namespace meshfold::models::ops::kernels {

#if defined(__x86_64__)
ProductKernels tile_products() { return amx::products_over<amx::AmxTiles>(); }
#else
ProductKernels tile_products() { return {}; }
#endif

}  // namespace meshfold::models::ops::kernels
