// Samples a second of whole training steps (forward, backward, clipping, AdamW; dropout on) of a model directory, and
// the process's peak memory, on the clock of the wall. encoder_step_peer.py makes directories and measures
// transformers.
//   encoder_step_bench DIRECTORY fp32|bf16 BATCH THREADS STEPS [recompute]
// BATCH lists texts and tokens: 16x128, or 8x16,8x24,8x40,4x64,2x128.

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <sstream>
#include <string>
#include <vector>

#include "dist/single_process_group.hpp"
#include "jobs/train/adamw.hpp"
#include "models/gradient_accumulator.hpp"
#include "models/loss.hpp"
#include "models/ops/instruction_set.hpp"

namespace meshfold {
namespace {

models::PackedInput make_pack(const std::string& batch) {
  models::PackedInput input{{}, {}, {}, {0}, {}, 1};
  std::vector<at::Tensor> positions;
  std::istringstream parts(batch);
  for (std::string part; std::getline(parts, part, ',');) {
    const std::int64_t count = std::stoll(part), length = std::stoll(part.substr(part.find('x') + 1));
    for (std::int64_t i = 0; i < count; ++i) {
      positions.push_back(at::arange(length, at::kLong));
      input.cu_seqlens.push_back(static_cast<std::int32_t>(input.cu_seqlens.back() + length));
      input.philox_rows.push_back(static_cast<std::uint32_t>(positions.size()));
    }
  }
  input.positions = at::cat(positions);
  input.token_ids = at::randint(5, 30000, {input.num_tokens()}, at::kLong);
  input.segments = at::zeros_like(input.token_ids);
  return input;
}

void run(const std::string& directory, at::ScalarType type, const std::string& batch, int steps, bool recompute) {
  models::LoadOptions options;
  options.head = models::HeadConfig{.labels = {"target"}, .dropout = {}};
  options.dropout = {.hidden = 0.1, .attention = 0.1};
  options.compute_type = type;
  options.recompute = recompute ? models::Recompute::kLayers : models::Recompute::kNone;
  const auto model = models::load_model(directory, options).model;
  models::GradientAccumulator gradients(model->parameters(), models::Summation::kInOrder);
  jobs::AdamW optimizer(model->parameters(), {});
  dist::SingleProcessGroup alone;
  const models::PackedInput input = make_pack(batch);
  const at::Tensor targets = at::randn({input.num_inputs(), 1});
  const auto loss = models::make_loss({}, 1);
  double seconds = 0.0;
  for (int step = -1; step < steps; ++step) {  // step -1 warms up
    const auto start = std::chrono::steady_clock::now();
    gradients.begin_step();
    gradients.begin_pack();
    const models::ForwardContext context{
        models::Mode::kTraining, {1, static_cast<std::uint32_t>(step + 1), 0}, &gradients};
    (*loss)(model->forward(input, context), targets, {loss->denominator(targets), {}}).backward();
    gradients.end_pack();
    const at::Tensor flat = gradients.reduce(alone);
    const double norm = models::gradient_norm(model->parameters(), flat);
    optimizer.step(flat, std::min(1.0, 1.0 / (norm + 1e-6)), 1e-5);
    model->parameters().refresh_compute_copies();
    if (step >= 0) seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::printf("%s, %s, batch %s, %d threads, %s%s: %.2f samples/s, %.3f s a step, peak %.2f GB\n",
              model->description().c_str(), type == at::kFloat ? "fp32" : "bf16", batch.c_str(), at::get_num_threads(),
              models::ops::kernel_paths().c_str(), recompute ? ", recomputing layers" : "",
              static_cast<double>(steps * input.num_inputs()) / seconds, seconds / steps,
              static_cast<double>(usage.ru_maxrss) * 1024e-9);
}

}  // namespace
}  // namespace meshfold

int main(int argc, char** argv) {
  if (argc < 6) {
    std::fprintf(stderr, "encoder_step_bench DIRECTORY fp32|bf16 BATCH THREADS STEPS [recompute]\n");
    return 2;
  }
  try {
    at::set_num_threads(std::atoi(argv[4]));
    meshfold::run(argv[1], argv[2] == std::string("bf16") ? at::kBFloat16 : at::kFloat, argv[3], std::atoi(argv[5]),
                  argc > 6);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "encoder_step_bench: %s\n", error.what());
    return 1;
  }
  return 0;
}
