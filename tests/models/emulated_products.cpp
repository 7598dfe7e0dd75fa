#include "tests/models/emulated_products.hpp"

#include <stdexcept>

#if defined(__x86_64__)
#include "models/ops/amx_operations.hpp"
#include "tests/models/emulated_tiles.hpp"
#endif

namespace meshfold::models::ops::kernels::emulated {
#if defined(__x86_64__)

using amx::EmulatedTiles;

void linear_forward(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, Activation activation,
                    at::Tensor z, at::Tensor y) {
  amx::linear_forward_over<EmulatedTiles>(x, weight, bias, activation, z, y);
}
void product_input_gradient(const at::Tensor& dy, const at::Tensor& weight, at::Tensor dx) {
  amx::product_input_gradient_over<EmulatedTiles>(dy, weight, dx);
}
void activated_input_gradient(const at::Tensor& dy, const at::Tensor& weight, const at::Tensor& z,
                              Activation activation, at::Tensor dz, at::Tensor y) {
  amx::activated_input_gradient_over<EmulatedTiles>(dy, weight, z, activation, dz, y);
}
void weight_gradient(const at::Tensor& dy, const at::Tensor& x, Beta beta, at::Tensor sum) {
  amx::weight_gradient_over<EmulatedTiles>(dy, x, beta, sum);
}
#else
namespace {
[[noreturn]] void refuse() { throw std::logic_error("operands of tiles are packed on x86-64 alone"); }
}  // namespace
void linear_forward(const at::Tensor&, const at::Tensor&, const at::Tensor&, Activation, at::Tensor, at::Tensor) {
  refuse();
}
void product_input_gradient(const at::Tensor&, const at::Tensor&, at::Tensor) { refuse(); }
void activated_input_gradient(const at::Tensor&, const at::Tensor&, const at::Tensor&, Activation, at::Tensor,
                              at::Tensor) {
  refuse();
}
void weight_gradient(const at::Tensor&, const at::Tensor&, Beta, at::Tensor) { refuse(); }
#endif

}  // namespace meshfold::models::ops::kernels::emulated
