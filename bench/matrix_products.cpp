// The three products of a linear layer in bf16, ours and LibTorch's alternating in one process, as shares of the peak
// measured in the same run.
//   matrix_products_bench [threads]

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "base/instruction_set.hpp"
#include "bench/matrix_peak.hpp"
#include "models/ops/kernels/matmul.hpp"

namespace meshfold::bench {
namespace {

using models::ops::Activation;

constexpr int kRounds = 7;

struct Shape {
  std::int64_t rows, in, out;
};

/// Median seconds of one call of each, taking turns.
std::vector<double> alternate(const std::vector<std::function<void()>>& works) {
  std::vector<std::vector<double>> seconds(works.size());
  for (int round = -1; round < kRounds; ++round) {  // round -1 warms up
    for (std::size_t i = 0; i < works.size(); ++i) {
      const auto start = std::chrono::steady_clock::now();
      works[i]();
      const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
      if (round >= 0) seconds[i].push_back(taken.count());
    }
  }
  std::vector<double> medians;
  for (auto& sample : seconds) {
    std::nth_element(sample.begin(), sample.begin() + kRounds / 2, sample.end());
    medians.push_back(sample[kRounds / 2]);
  }
  return medians;
}

void print_shape(const Shape& shape, const MatrixPeak& peak) {
  const at::Tensor x = at::randn({shape.rows, shape.in}).to(at::kBFloat16),
                   weight = at::randn({shape.out, shape.in}).to(at::kBFloat16),
                   dy = at::randn({shape.rows, shape.out}).to(at::kBFloat16), bias = at::randn({shape.out});
  const at::Tensor x32 = x.to(at::kFloat), weight32 = weight.to(at::kFloat), dy32 = dy.to(at::kFloat),
                   bias16 = bias.to(at::kBFloat16);
  at::Tensor sum = at::zeros({shape.out, shape.in}), result;
  using namespace models::ops;
  const auto seconds = alternate({
      [&] { result = linear_forward(x, weight, bias, Activation::kNone, Keep::kOutput).y; },
      [&] { result = at::linear(x, weight, bias16); },
      [&] { result = at::linear(x32, weight32, bias); },
      [&] { result = linear_forward(x, weight, bias, Activation::kGelu, Keep::kPreActivationToo).y; },
      [&] { result = at::gelu(at::linear(x, weight, bias16)); },
      [&] { result = product_input_gradient(dy, weight, at::kBFloat16); },
      [&] { result = at::mm(dy, weight); },
      [&] { result = at::mm(dy32, weight32); },
      [&] { add_weight_gradient(sum, Before::kSum, dy, x); },
      [&] { result = at::mm(dy.t(), x); },
      [&] { at::addmm_out(sum, sum, dy32.t(), x32); },
  });
  const double work = 2e-9 * static_cast<double>(shape.rows * shape.in * shape.out);
  const auto rate = [&](int i) { return work / seconds[static_cast<std::size_t>(i)]; };
  const double bound = (peak.bf16 > 0 ? peak.bf16 : peak.fp32) * 1e-9;
  std::printf(
      "%5lld %5lld %5lld |%7.0f %3.0f%% %6.0f %6.0f |%7.0f %6.0f |%7.0f %3.0f%% %6.0f %6.0f |%7.0f %3.0f%% %6.0f "
      "%6.0f\n",
      static_cast<long long>(shape.rows), static_cast<long long>(shape.in), static_cast<long long>(shape.out), rate(0),
      100 * rate(0) / bound, rate(1), rate(2), rate(3), rate(4), rate(5), 100 * rate(5) / bound, rate(6), rate(7),
      rate(8), 100 * rate(8) / bound, rate(9), rate(10));
  std::fflush(stdout);
}

void run(int threads) {
  at::set_num_threads(threads);
  const MatrixPeak peak = measure_matrix_peak(threads);
  std::printf("%s; %d threads; peak from registers: fp32 %.0f, bf16 dot products %.0f GFLOP/s\n",
              models::ops::kernel_paths().c_str(), threads, peak.fp32 * 1e-9, peak.bf16 * 1e-9);
  std::printf("GFLOP/s, medians of %d: ours and its share of the peak, LibTorch bf16, LibTorch fp32\n", kRounds);
  std::printf(
      " rows    in   out | y = x W^T + b            | with GELU     | dx = dy W                | dW += dy^T x\n");
  for (const Shape& shape : {Shape{800, 384, 1152}, Shape{800, 384, 384}, Shape{800, 384, 1536}, Shape{800, 1536, 384},
                             Shape{2048, 768, 2304}, Shape{2048, 768, 768}, Shape{2048, 768, 3072},
                             Shape{2048, 3072, 768}, Shape{777, 768, 3072}, Shape{25, 384, 1536}}) {
    print_shape(shape, peak);
  }
}

}  // namespace
}  // namespace meshfold::bench

int main(int argc, char** argv) {
  meshfold::bench::run(argc > 1 ? std::stoi(argv[1]) : 2);
  return 0;
}
