#include "base/instruction_set.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <atomic>

namespace meshfold::base {
namespace {

std::atomic<InstructionSet> limit = InstructionSet::kAvx512Bf16;

InstructionSet found_instruction_set() {
#if defined(__x86_64__)
  // These also ask whether the operating system saves the registers.
  if (!__builtin_cpu_supports("avx2")) return InstructionSet::kPortable;
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (!avx512) return InstructionSet::kAvx2;
  // AMD's cores do a dot product of pairs in the time of an fp32 multiply-add (measured on Zen 5: twice the FLOP/s);
  // Intel's are slower than fp32 (measured on Sapphire Rapids), and have tiles.
  const bool fast_dot_products = __builtin_cpu_supports("avx512bf16") && __builtin_cpu_is("amd");
  return fast_dot_products ? InstructionSet::kAvx512Bf16 : InstructionSet::kAvx512;
#else
  return InstructionSet::kPortable;
#endif
}

bool cpu_has_amx_bf16() {
#if defined(__x86_64__)
  constexpr unsigned kOsSaves = 1u << 27;                       // CPUID leaf 1, ECX: XGETBV may be used
  constexpr unsigned kAmxBf16 = 1u << 22, kAmxTile = 1u << 24;  // CPUID leaf 7, EDX
  constexpr unsigned kTileState = 3u << 17;                     // XCR0: tile configuration and data
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & kOsSaves) == 0) return false;
  unsigned saved = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));
  if ((saved & kTileState) != kTileState) return false;
  const bool tiles = __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & kAmxBf16) != 0 && (d & kAmxTile) != 0;
  // Operands are packed and sums rounded by these.
  return tiles && found_instruction_set() >= InstructionSet::kAvx512 && __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

/// Linux gives tiles only to a process that asks, for all its threads at once (arch_prctl(2), xstate.rst); the answer
/// is no before Linux 5.16, or where a thread's signal stack is too small for the registers.
bool tiles_are_granted() {
#if defined(__linux__) && defined(__x86_64__)
  constexpr int kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM, which older headers lack
  constexpr int kTileData = 18;               // XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

}  // namespace

InstructionSet instruction_set() {
  static const InstructionSet found = found_instruction_set();
  return std::min(found, limit.load(std::memory_order_relaxed));
}

InstructionLimit::InstructionLimit(InstructionSet highest) : before_(limit.load()) {
  limit.store(std::min(before_, highest));
}

InstructionLimit::~InstructionLimit() { limit.store(before_); }

bool has_amx_bf16() {
  static const bool found = cpu_has_amx_bf16() && tiles_are_granted();
  return found && limit.load(std::memory_order_relaxed) > InstructionSet::kAvx512;
}

bool multiplies_bf16_faster() { return has_amx_bf16() || has_avx512_bf16(); }

}  // namespace meshfold::base
