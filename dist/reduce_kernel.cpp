#include "dist/reduce_kernel.hpp"

#include <cstdint>
#include <stdexcept>
#include <string>
#include <type_traits>

namespace meshfold::dist {
namespace {

template <ReduceOp op, typename T>
T combine(T a, T b) {
  if constexpr (op == ReduceOp::kSum) {
    if constexpr (std::is_integral_v<T>) {
      using Unsigned = std::make_unsigned_t<T>;  // signed overflow would be undefined
      return static_cast<T>(static_cast<Unsigned>(a) + static_cast<Unsigned>(b));
    } else {
      return a + b;
    }
  } else {
    const bool b_is_nan = b != b;
    return (op == ReduceOp::kMax ? b > a : b < a) || b_is_nan ? b : a;
  }
}

template <ReduceOp op, typename T>
void reduce(void* accumulator, const void* summand, std::size_t count) {
  auto* a = static_cast<T*>(accumulator);
  const auto* b = static_cast<const T*>(summand);
  for (std::size_t i = 0; i < count; ++i) a[i] = combine<op>(a[i], b[i]);
}

template <typename T>
ReduceKernel kernel_of(ReduceOp op) {
  switch (op) {
    case ReduceOp::kSum:
      return reduce<ReduceOp::kSum, T>;
    case ReduceOp::kMax:
      return reduce<ReduceOp::kMax, T>;
    case ReduceOp::kMin:
      return reduce<ReduceOp::kMin, T>;
  }
  throw std::invalid_argument("unknown reduction");
}

}  // namespace

ReduceKernel find_reduce_kernel(c10::ScalarType type, ReduceOp op) {
  switch (type) {
    case c10::ScalarType::Float:
      return kernel_of<float>(op);
    case c10::ScalarType::Double:
      return kernel_of<double>(op);
    case c10::ScalarType::Int:
      return kernel_of<std::int32_t>(op);
    case c10::ScalarType::Long:
      return kernel_of<std::int64_t>(op);
    default:
      throw std::invalid_argument(std::string("all_reduce takes float, double, int32 or int64 tensors, not ") +
                                  c10::toString(type));
  }
}

}  // namespace meshfold::dist
