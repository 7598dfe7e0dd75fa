#include "models/ops/instruction_set.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "models/ops/matmul.hpp"

namespace meshfold::models::ops {

bool has_avx2() {
#if defined(__x86_64__)
  static const bool found = __builtin_cpu_supports("avx2") != 0;
  return found && !PortableKernels::any();
#else
  return false;
#endif
}

bool has_amx_bf16() {
#if defined(__x86_64__)
  static const bool found = [] {
    unsigned a = 0, b = 0, c = 0, d = 0;
    constexpr unsigned kAmxBf16 = 1u << 22, kAmxTile = 1u << 24;  // CPUID leaf 7, EDX
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & kAmxBf16) != 0 && (d & kAmxTile) != 0;
  }();
  return found;
#else
  return false;
#endif
}

std::string kernel_paths() {
  return std::string("elementwise ") + (has_avx2() ? "AVX2" : "portable") + ", " + bf16_product_path();
}

}  // namespace meshfold::models::ops
