#pragma once

#include <string>

/// Which instructions kernels use: chosen at run time by CPUID, never at build time, so one binary
/// runs everywhere.
namespace meshfold::base {

/// Each level includes those before it.
enum class InstructionSet {
  kPortable,
  kAvx2,
  kAvx512,      ///< F, BW, DQ and VL
  kAvx512Bf16,  ///< and dot products of bf16 pairs, where they are faster than fp32
};

/// What CPU and operating system have, or less while an InstructionLimit is alive.
InstructionSet instruction_set();
inline bool has_avx2() { return instruction_set() >= InstructionSet::kAvx2; }
inline bool has_avx512() { return instruction_set() >= InstructionSet::kAvx512; }
inline bool has_avx512_bf16() { return instruction_set() >= InstructionSet::kAvx512Bf16; }

/// While one is alive, kernels take the path of a CPU with `highest` at most, on every thread. For tests; they nest.
class InstructionLimit {
 public:
  explicit InstructionLimit(InstructionSet highest);
  ~InstructionLimit();
  InstructionLimit(const InstructionLimit&) = delete;
  InstructionLimit& operator=(const InstructionLimit&) = delete;

 private:
  InstructionSet before_;
};

class PortableKernels : public InstructionLimit {
 public:
  PortableKernels() : InstructionLimit(InstructionSet::kPortable) {}
};

/// Tiles of bf16: found by CPUID and granted by the operating system, which the first call asks. Counts as a path above
/// kAvx512, so that a lower InstructionLimit takes it away.
bool has_amx_bf16();
/// Whether bf16 products are faster than fp32 ones here: what precision.compute = auto asks.
bool multiplies_bf16_faster();

#if defined(__x86_64__)
#define MESHFOLD_TARGET_AVX2 [[gnu::target("avx2")]]
#define MESHFOLD_TARGET_AVX512 [[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")]]
#define MESHFOLD_TARGET_AVX512_BF16 \
  [[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,prefer-vector-width=512")]]
#else
#define MESHFOLD_TARGET_AVX2
#define MESHFOLD_TARGET_AVX512
#define MESHFOLD_TARGET_AVX512_BF16
#endif

template <typename Kernel, typename... Args>
MESHFOLD_TARGET_AVX512 void run_with_avx512(const Args&... args) {
  Kernel::run(args...);
}

template <typename Kernel, typename... Args>
MESHFOLD_TARGET_AVX2 void run_with_avx2(const Args&... args) {
  Kernel::run(args...);
}

template <typename Kernel, typename... Args>
void run_portable(const Args&... args) {
  Kernel::run(args...);
}

/// Calls Kernel::run(args...), compiled for AVX-512, for AVX2 and for any CPU. `run` and all it calls in its inner
/// loops must be always_inline, else they keep the baseline's instructions. No contraction to fused multiply-adds
/// (-ffp-contract=off): all give the same bits.
template <typename Kernel, typename... Args>
void run_kernel(const Args&... args) {
  switch (instruction_set()) {
    case InstructionSet::kAvx512Bf16:
    case InstructionSet::kAvx512:
      return run_with_avx512<Kernel>(args...);
    case InstructionSet::kAvx2:
      return run_with_avx2<Kernel>(args...);
    case InstructionSet::kPortable:
      return run_portable<Kernel>(args...);
  }
}

}  // namespace meshfold::base
