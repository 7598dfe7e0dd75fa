#include "bench/matrix_peak.hpp"

#include <immintrin.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

#include "base/instruction_set.hpp"

namespace meshfold::bench {
namespace {

constexpr int kAccumulators = 16, kRounds = 12;
constexpr std::int64_t kSteps = 400'000;

/// 16 independent chains hide the latency of two units.
MESHFOLD_TARGET_AVX512 void multiply_fp32() {
  __m512 sums[kAccumulators];
  for (__m512& sum : sums) sum = _mm512_set1_ps(1.0F);
  const __m512 a = _mm512_set1_ps(1e-9F), b = _mm512_set1_ps(1.0F);
  for (std::int64_t step = 0; step < kSteps; ++step) {
#pragma GCC unroll 16
    for (__m512& sum : sums) {
      sum = _mm512_fmadd_ps(a, b, sum);
      __asm__ volatile("" : "+v"(sum));  // each one is computed
    }
  }
}

MESHFOLD_TARGET_AVX512_BF16 void multiply_bf16() {
  __m512 sums[kAccumulators];
  for (__m512& sum : sums) sum = _mm512_set1_ps(1.0F);
  const auto a = reinterpret_cast<__m512bh>(_mm512_set1_epi32(0x3C003C01)), b = a;
  for (std::int64_t step = 0; step < kSteps; ++step) {
#pragma GCC unroll 16
    for (__m512& sum : sums) {
      sum = _mm512_dpbf16_ps(sum, a, b);
      __asm__ volatile("" : "+v"(sum));
    }
  }
}

MESHFOLD_TARGET_AVX2 void multiply_without_avx512() {
  __m256 sums[kAccumulators];
  for (__m256& sum : sums) sum = _mm256_set1_ps(1.0F);
  const __m256 a = _mm256_set1_ps(1e-9F);
  for (std::int64_t step = 0; step < kSteps; ++step) {
#pragma GCC unroll 16
    for (__m256& sum : sums) {
      sum = _mm256_add_ps(_mm256_mul_ps(sum, a), a);
      __asm__ volatile("" : "+v"(sum));
    }
  }
}

/// Calls of `work` a second, over all threads.
double calls_per_second(int threads, void (*work)()) {
  double best = 0.0;
  for (int round = 0; round < kRounds; ++round) {
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::thread> others;
    for (int i = 1; i < threads; ++i) others.emplace_back(work);
    work();
    for (std::thread& other : others) other.join();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    best = std::max(best, threads / seconds.count());
  }
  return best;
}

}  // namespace

MatrixPeak measure_matrix_peak(int threads) {
  constexpr double kInstructions = static_cast<double>(kSteps) * kAccumulators;
  MatrixPeak peak{};
  peak.fp32 = base::has_avx512() ? 32 * kInstructions * calls_per_second(threads, multiply_fp32)
                                 : 16 * kInstructions * calls_per_second(threads, multiply_without_avx512);
  if (base::has_avx512_bf16()) peak.bf16 = 64 * kInstructions * calls_per_second(threads, multiply_bf16);
  return peak;
}

}  // namespace meshfold::bench
