// Samples a second of whole training steps (forward, backward, clipping, AdamW; dropout on) or of inference of a model
// directory, the process's peak memory, and what share of the matrix peak its products with weights reach, on the clock
// of the wall. Every step draws fresh token ids, since memory grows with the rows of the word table that were ever
// touched; it tells how many. encoder_step_peer.py makes directories and measures transformers.
//   encoder_step_bench DIRECTORY fp32|bf16 BATCH THREADS STEPS [recompute|inference]
// BATCH lists texts and tokens: 16x128, or 8x16,8x24,8x40,4x64,2x128.

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <sstream>
#include <string>
#include <unordered_set>
#include <vector>

#include "bench/matrix_peak.hpp"
#include "jobs/process_memory.hpp"
#include "jobs/train/adamw.hpp"
#include "models/directory/load_model.hpp"
#include "models/gradients/gradient_accumulator.hpp"
#include "models/losses/loss.hpp"
#include "models/ops/kernels/matmul.hpp"
#include "models/reference/gradient_norm.hpp"

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
  input.segments = at::zeros_like(input.positions);
  return input;
}

/// Packs of one shape, each of other tokens.
class Packs {
 public:
  explicit Packs(const std::string& batch) : input_(make_pack(batch)) {}

  /// The shape is that of all.
  const models::PackedInput& next() {
    input_.token_ids = at::randint(5, 30000, {input_.num_tokens()}, at::kLong);
    const auto* ids = input_.token_ids.const_data_ptr<std::int64_t>();
    distinct_.insert(ids, ids + input_.num_tokens());
    return input_;
  }
  const models::PackedInput& shape() const { return input_; }
  std::size_t num_distinct() const { return distinct_.size(); }

 private:
  models::PackedInput input_;
  std::unordered_set<std::int64_t> distinct_;
};

struct Arguments {
  std::string directory, batch, mode;
  at::ScalarType type;
  int steps;
};

/// Seconds of `steps` calls of work(step), after step -1 that warms up.
template <typename Work>
double seconds_of(int steps, const Work& work) {
  work(-1);
  const auto start = std::chrono::steady_clock::now();
  for (int step = 0; step < steps; ++step) work(step);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double train(models::Model& model, Packs& packs, int steps) {
  models::GradientAccumulator gradients(model.parameters(), models::Summation::kInOrder, models::SumsAre::kOnlyRead);
  jobs::AdamW optimizer(model.parameters(), {});
  const at::Tensor targets = at::randn({packs.shape().num_inputs(), 1});
  const auto loss = models::make_loss({}, 1);
  return seconds_of(steps, [&](int step) {
    gradients.begin_step();
    gradients.begin_pack();
    const models::ForwardContext context{
        models::Mode::kTraining, {1, static_cast<std::uint32_t>(step + 1), 0}, &gradients};
    (*loss)(model.forward(packs.next(), context), targets, {loss->denominator(targets), {}}).backward();
    gradients.end_pack();
    const models::FlatGradient flat{gradients.sum_packs(), &gradients.written()};
    const double norm = models::gradient_norm(model.parameters(), flat);
    optimizer.step(flat, std::min(1.0, 1.0 / (norm + 1e-6)), 1e-5);
    model.parameters().refresh_compute_copies();
  });
}

double predict(models::Model& model, Packs& packs, int steps) {
  return seconds_of(steps, [&](int) { model.forward(packs.next(), {}); });
}

/// Of the products of tokens with weights that are computed, forward; attention and relative embeddings are not
/// counted. The head pools first tokens, so of the last layer keys and values alone meet every token.
double forward_operations(const models::Model& model, const models::PackedInput& input) {
  std::int64_t last_layer = 0;
  for (const models::Parameter& parameter : model.parameters()) {
    last_layer = std::max(last_layer, parameter.spec.layer.value_or(0));
  }
  double operations = 0.0;
  for (const models::Parameter& parameter : model.parameters()) {
    const std::string& name = parameter.spec.name;
    const bool multiplied = parameter.spec.compute_copy == models::ComputeCopy::kYes;
    if (!multiplied || parameter.view.value.dim() != 2) continue;
    const bool meets_all = parameter.spec.layer != last_layer || name.find(".self.key") != std::string::npos ||
                           name.find(".self.value") != std::string::npos;
    const std::int64_t rows = meets_all ? input.num_tokens() : input.num_inputs();
    operations += 2.0 * static_cast<double>(rows) * static_cast<double>(parameter.view.value.numel());
  }
  return operations;
}

void run(const Arguments& arguments) {
  const bool inference = arguments.mode == "inference", half = arguments.type == at::kBFloat16;
  models::LoadOptions options;
  options.head = models::HeadConfig{.labels = {"target"}, .dropout = {}};
  options.dropout = {.hidden = 0.1, .attention = 0.1};
  options.compute_type = arguments.type;
  options.recompute = arguments.mode == "recompute" ? models::Recompute::kLayers : models::Recompute::kNone;
  const auto model = models::load_model(arguments.directory, options).model;
  Packs packs(arguments.batch);
  const double seconds = (inference ? predict : train)(*model, packs, arguments.steps) / arguments.steps;
  const models::PackedInput& input = packs.shape();
  const double peak_gigabytes = 1e-9 * static_cast<double>(jobs::peak_resident_bytes());
  const bench::MatrixPeak peak = bench::measure_matrix_peak(at::get_num_threads());
  const double rate = (inference ? 1 : 3) * forward_operations(*model, input) / seconds;
  const double bound = half && peak.bf16 > 0 ? peak.bf16 : peak.fp32;
  std::printf(
      "%s, %s, batch %s, %d threads, %s%s%s: %.2f samples/s, %.3f s a %s, peak %.2f GB with %zu rows of the word "
      "table in use, products with weights at %.0f %% of the peak (%.0f GFLOP/s)\n",
      model->description().c_str(), half ? "bf16" : "fp32", arguments.batch.c_str(), at::get_num_threads(),
      models::ops::kernel_paths().c_str(), arguments.mode.empty() ? "" : ", ", arguments.mode.c_str(),
      static_cast<double>(input.num_inputs()) / seconds, seconds, inference ? "batch" : "step", peak_gigabytes,
      packs.num_distinct(), 100 * rate / bound, 1e-9 * bound);
}

}  // namespace
}  // namespace meshfold

int main(int argc, char** argv) {
  if (argc < 6) {
    std::fprintf(stderr, "encoder_step_bench DIRECTORY fp32|bf16 BATCH THREADS STEPS [recompute|inference]\n");
    return 2;
  }
  try {
    meshfold::jobs::keep_freed_memory();
    at::set_num_threads(std::atoi(argv[4]));
    meshfold::run({argv[1], argv[3], argc > 6 ? argv[6] : "",
                   argv[2] == std::string("bf16") ? at::kBFloat16 : at::kFloat, std::atoi(argv[5])});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "encoder_step_bench: %s\n", error.what());
    return 1;
  }
  return 0;
}
