#include "tests/models/emulated_products.hpp"

#if defined(__x86_64__)
#include "models/ops/kernels/amx_operations.hpp"
#include "tests/models/emulated_tiles.hpp"
#endif

namespace meshfold::models::ops::kernels {

#if defined(__x86_64__)
ProductKernels emulated_products() { return amx::products_over<amx::EmulatedTiles>(); }
#else
ProductKernels emulated_products() { return {}; }
#endif

}  // namespace meshfold::models::ops::kernels
