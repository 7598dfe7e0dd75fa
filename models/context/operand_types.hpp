#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>

/// The types of operands that operations compute with, fp32 and bf16. No other place knows them: what is asked to
/// compute with another type refuses it here.
namespace meshfold::models::ops {

/// Throws invalid_argument, which names the type, the operation and the option to change.
[[noreturn]] void refuse_operands(at::ScalarType type, std::string_view operation);

/// Refuses what dispatch_operands() refuses. For what LibTorch would compute with any type.
inline void check_operands(at::ScalarType type, std::string_view operation) {
  if (type != at::kFloat && type != at::kBFloat16) refuse_operands(type, operation);
}

/// compute.operator()<T>() with the C++ type T of `type`.
template <typename Compute>
decltype(auto) dispatch_operands(at::ScalarType type, std::string_view operation, const Compute& compute) {
  switch (type) {
    case at::kFloat:
      return compute.template operator()<float>();
    case at::kBFloat16:
      return compute.template operator()<at::BFloat16>();
    default:
      refuse_operands(type, operation);
  }
}

}  // namespace meshfold::models::ops
