#include "launcher/options.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace meshfold::launcher {

#if defined(__x86_64__)
namespace {

constexpr unsigned kAmxBf16 = 1U << 22;    // CPUID leaf 7, subleaf 0, EDX
constexpr unsigned kAvx512Bf16 = 1U << 5;  // CPUID leaf 7, subleaf 1, EAX
constexpr unsigned kOsSaves = 1U << 27;    // CPUID leaf 1, ECX: XGETBV may be used
constexpr unsigned kAvx512State = 0xE6;    // XCR0: SSE, AVX, opmask, both halves of ZMM
constexpr unsigned kTileState = 0x60000;   // XCR0: tile configuration and data

/// What the operating system saves on a task switch; an instruction set that it does not save must not be used.
unsigned saved_state() {
  unsigned low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

}  // namespace

bool cpu_multiplies_bf16() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid(1, &a, &b, &c, &d) || (c & kOsSaves) == 0) return false;
  const unsigned saved = saved_state();
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
  if ((d & kAmxBf16) != 0 && (saved & kTileState) == kTileState) return true;
  const unsigned subleaves = a;
  if (subleaves < 1 || !__get_cpuid_count(7, 1, &a, &b, &c, &d)) return false;
  return (a & kAvx512Bf16) != 0 && (saved & kAvx512State) == kAvx512State;
}
#else
bool cpu_multiplies_bf16() { return false; }
#endif

}  // namespace meshfold::launcher
