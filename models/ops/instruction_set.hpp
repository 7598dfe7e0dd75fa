#pragma once

#include <atomic>
#include <string>

/// Which instructions the kernels of this folder use: chosen at run time by CPUID, never at build time, so one binary
/// runs everywhere.
namespace meshfold::models::ops {

bool has_avx2();  ///< False while a PortableKernels is alive.

/// While one is alive, kernels take the path of a CPU without AVX2, on every thread. For tests.
class PortableKernels {
 public:
  PortableKernels() { ++num_alive_; }
  ~PortableKernels() { --num_alive_; }
  PortableKernels(const PortableKernels&) = delete;
  PortableKernels& operator=(const PortableKernels&) = delete;
  static bool any() { return num_alive_.load(std::memory_order_relaxed) != 0; }

 private:
  static inline std::atomic<int> num_alive_ = 0;
};

/// Tiles of bf16, which also need the kernel's consent; LibTorch asks for that itself.
bool has_amx_bf16();
/// "elementwise AVX2, bf16 products as fp32", for the log. Ranks of one job should print the same.
std::string kernel_paths();

#if defined(__x86_64__)
#define MESHFOLD_TARGET_AVX2 [[gnu::target("avx2")]]
#else
#define MESHFOLD_TARGET_AVX2
#endif

template <typename Kernel, typename... Args>
MESHFOLD_TARGET_AVX2 void run_with_avx2(const Args&... args) {
  Kernel::run(args...);
}

template <typename Kernel, typename... Args>
void run_portable(const Args&... args) {
  Kernel::run(args...);
}

/// Calls Kernel::run(args...), compiled once for AVX2 and once for any CPU. `run` and all it calls in its inner loops
/// must be always_inline, else they keep the baseline's instructions. No contraction to fused multiply-adds
/// (-ffp-contract=off): both give the same bits.
template <typename Kernel, typename... Args>
void run_kernel(const Args&... args) {
  if (has_avx2()) {
    run_with_avx2<Kernel>(args...);
  } else {
    run_portable<Kernel>(args...);
  }
}

}  // namespace meshfold::models::ops
