// How fast a model of a given shape trains or predicts on packs of given lengths, and where the time of a step goes:
// forward, backward, norm and AdamW, then each block alone. Random weights and tokens; dropout 0.1 everywhere.
//   training_step_bench minilm|bert-base fp32|bf16 LENGTHS [steps [threads [train|predict]]]
// LENGTHS: a file with one line a batch, the lengths of its texts; or "snippets": 32 texts of 25 tokens in the mean.
// The last line is JSON.

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/instruction_set.hpp"
#include "bench/matrix_peak.hpp"
#include "jobs/train/adamw.hpp"
#include "models/gradients/gradient_accumulator.hpp"
#include "models/losses/loss.hpp"
#include "models/networks/bert.hpp"
#include "models/networks/sequence_model.hpp"
#include "models/ops/attention.hpp"
#include "models/ops/kernels/matmul.hpp"
#include "models/ops/linear.hpp"
#include "models/ops/norm.hpp"
#include "models/parameters/parameter_initialization.hpp"
#include "models/reference/gradient_norm.hpp"

namespace meshfold {
namespace {

constexpr std::int64_t kTargets = 1;

double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Median of some calls, after one that warms up.
double seconds_per_call(const std::function<void()>& work) {
  work();
  std::array<double, 5> samples{};
  for (double& sample : samples) {
    const double start = wall_seconds();
    work();
    sample = wall_seconds() - start;
  }
  std::nth_element(samples.begin(), samples.begin() + 2, samples.end());
  return samples[2];
}

using Lengths = std::vector<std::int64_t>;

/// Eight batches of 32 short social-media texts: 5 to 64 tokens, 25 in the mean.
std::vector<Lengths> snippets() {
  std::mt19937 random(1);
  std::binomial_distribution<std::int64_t> ordinary(59, 0.339);
  std::vector<Lengths> batches(8, Lengths(32));
  for (Lengths& batch : batches) {
    for (std::int64_t& length : batch) length = 5 + ordinary(random);
  }
  return batches;
}

std::vector<Lengths> read_lengths(const std::string& path) {
  std::ifstream file(path);
  std::vector<Lengths> batches;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    Lengths batch;
    for (std::int64_t length = 0; words >> length;) batch.push_back(length);
    if (!batch.empty()) batches.push_back(batch);
  }
  if (batches.empty()) throw std::runtime_error(path + " holds no lengths: one line a batch is wanted");
  return batches;
}

models::PackedInput make_pack(const Lengths& lengths, std::uint32_t number) {
  models::PackedInput input{{}, {}, {}, {0}, {}, 1};
  std::vector<at::Tensor> positions;
  for (const std::int64_t length : lengths) {
    positions.push_back(at::arange(length, at::kLong));
    input.cu_seqlens.push_back(static_cast<std::int32_t>(input.cu_seqlens.back() + length));
    input.philox_rows.push_back(static_cast<std::uint32_t>(1000 * number + positions.size()));
  }
  input.positions = at::cat(positions);
  input.token_ids = at::randint(30522, {input.num_tokens()}, at::kLong);
  input.segments = at::zeros_like(input.token_ids);
  return input;
}

models::BertConfig config_of(const std::string& name) {
  models::BertConfig config;
  config.vocabulary_size = 30522;
  config.max_positions = 512;
  config.num_segments = 2;
  config.num_heads = 12;
  if (name == "minilm") {
    config.hidden_size = 384;
    config.num_layers = 6;
    config.intermediate_size = 1536;
  } else if (name == "bert-base") {
    config.hidden_size = 768;
    config.num_layers = 12;
    config.intermediate_size = 3072;
  } else {
    throw std::runtime_error("the model is minilm or bert-base, not " + name);
  }
  return config;
}

std::unique_ptr<models::Model> make_model(const models::BertConfig& config, at::ScalarType type) {
  models::HeadConfig head;
  head.labels = {"target"};
  auto model =
      models::make_sequence_model(models::make_bert_backbone(config, {.hidden = 0.1, .attention = 0.1}), head, type);
  for (const models::Parameter& parameter : model->parameters()) models::initialize_parameter(parameter, 1, 0.02);
  model->parameters().refresh_compute_copies();
  return model;
}

/// Takes gradients of a block that is timed alone.
class Discard final : public models::GradientSink {
 public:
  void add_product(const models::ParameterView& weight, const at::Tensor& dy, const at::Tensor& x) override {
    at::Tensor& sum = sums_[weight.value.numel()];
    if (!sum.defined() || sum.sizes() != weight.value.sizes()) sum = at::empty_like(weight.value);
    models::ops::add_weight_gradient(sum, models::ops::Before::kNothing, dy.contiguous(), x.contiguous());
  }
  void add(const models::ParameterView&, const at::Tensor&) override {}
  void add_rows(const models::ParameterView&, const at::Tensor&, const at::Tensor&) override {}

 private:
  std::map<std::int64_t, at::Tensor> sums_;
};

void print_row(const char* what, double seconds, double step) {
  std::printf("  %-44s %8.2f ms  %5.1f %%\n", what, 1e3 * seconds, 100.0 * seconds / step);
}

/// Forward and backward of a block, for all layers.
double block_seconds(const models::BertConfig& config, const at::Tensor& x,
                     const std::function<at::Tensor(const at::Tensor&)>& block) {
  const at::Tensor leaf = x.clone().set_requires_grad(true);
  at::Tensor dy;
  return static_cast<double>(config.num_layers) * seconds_per_call([&] {
           const at::Tensor y = block(leaf);
           if (!dy.defined()) dy = at::randn(y.sizes()).to(y.scalar_type());
           leaf.mutable_grad() = at::Tensor();
           y.backward(dy);
         });
}

void print_blocks(const models::BertConfig& config, const models::PackedInput& input, at::ScalarType type,
                  double step) {
  using models::ops::Activation;
  const std::int64_t tokens = input.num_tokens(), hidden = config.hidden_size, wide = config.intermediate_size;
  Discard sink;
  const models::ForwardContext context{models::Mode::kTraining, {1, 2, 0}, &sink};
  const auto parameter = [&](at::IntArrayRef shape) {
    const at::Tensor value = at::randn(shape) * 0.02;
    return models::ParameterView{0, value, value.to(type)};
  };
  const auto linear = [&](std::int64_t out, std::int64_t in) {
    return models::Linear{parameter({out, in}), parameter({out})};
  };
  struct Layer {
    const char* name;
    std::int64_t in, out;
    Activation activation;
  };
  for (const Layer& layer : {Layer{"linear query, key, value", hidden, 3 * hidden, Activation::kNone},
                             Layer{"linear attention output", hidden, hidden, Activation::kNone}}) {
    const models::Linear projection = linear(layer.out, layer.in);
    print_row(layer.name,
              block_seconds(
                  config, at::randn({tokens, layer.in}).to(type),
                  [&](const at::Tensor& x) { return models::ops::linear(x, projection, layer.activation, context); }),
              step);
  }
  const models::Linear first = linear(wide, hidden), second = linear(hidden, wide);
  print_row("linear, GELU, linear",
            block_seconds(config, at::randn({tokens, hidden}).to(type),
                          [&](const at::Tensor& x) {
                            return models::ops::linear(
                                models::ops::activated_linear(x, first, Activation::kGelu, context), second, context);
                          }),
            step);
  print_row("attention",
            block_seconds(config, at::randn({tokens, 3 * hidden}).to(type),
                          [&](const at::Tensor& x) {
                            return models::ops::attention(
                                {.query_key_value = {x}},
                                {.num_heads = config.num_heads, .head_width = hidden / config.num_heads}, {0.1, 0},
                                input, context);
                          }),
            step);
  const at::Tensor residual = at::randn({tokens, hidden}).set_requires_grad(true);
  const models::Norm norm{parameter({hidden}), parameter({hidden}), 1e-12};
  print_row("add and norm, twice",
            2 * block_seconds(config, at::randn({tokens, hidden}).to(type),
                              [&](const at::Tensor& x) {
                                return models::ops::add_norm(x, residual, norm, {0.1, 0}, input, context);
                              }),
            step);
}

/// Peak resident memory of the process so far.
double peak_mebibytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

/// Products of a forward pass: per token 2 FLOP a weight of the layers, and two products of attention.
double forward_operations(const models::BertConfig& config, const Lengths& lengths) {
  const auto hidden = static_cast<double>(config.hidden_size), wide = static_cast<double>(config.intermediate_size);
  double sum = 0.0;
  for (const std::int64_t length : lengths) {
    const auto tokens = static_cast<double>(length);
    sum += tokens * (2 * (4 * hidden * hidden + 2 * hidden * wide) + 4 * tokens * hidden);
  }
  return sum * static_cast<double>(config.num_layers);
}

struct Arguments {
  std::string model, precision, lengths;
  int steps = 20, threads = 1;
  bool predict = false;
};

struct Measured {
  double seconds = 0.0, operations = 0.0, peak_mib = 0.0;
  std::size_t texts = 0;
};

void print_summary(const Arguments& arguments, const Measured& measured, const bench::MatrixPeak& peak) {
  const double bound = arguments.precision == "bf16" && peak.bf16 > 0 ? peak.bf16 : peak.fp32;
  const double texts_per_s = static_cast<double>(measured.texts) / measured.seconds;
  const double share = measured.operations / measured.seconds / bound;
  std::printf(
      "%.0f GFLOP/s of matrix products, %.0f %% of the peak from registers measured in this run (%.0f GFLOP/s)\n",
      1e-9 * measured.operations / measured.seconds, 100 * share, 1e-9 * bound);
  std::printf("{\"samples_per_s\": %.2f, \"peak_mib\": %.0f, \"share_of_peak\": %.3f}\n", texts_per_s,
              measured.peak_mib, share);
}

void predict(const Arguments& arguments, models::Model& model, const models::BertConfig& config,
             const std::vector<Lengths>& batches, const std::vector<models::PackedInput>& packs,
             const bench::MatrixPeak& peak) {
  Measured measured;
  for (int step = -1; step < arguments.steps; ++step) {  // step -1 warms up
    const std::size_t batch = static_cast<std::size_t>(step + 1) % packs.size();
    const double start = wall_seconds();
    model.forward(packs[batch], {});
    if (step < 0) continue;
    measured.seconds += wall_seconds() - start;
    measured.texts += batches[batch].size();
    measured.operations += forward_operations(config, batches[batch]);
  }
  measured.peak_mib = peak_mebibytes();
  print_summary(arguments, measured, peak);
}

void train(const Arguments& arguments, models::Model& model, const models::BertConfig& config,
           const std::vector<Lengths>& batches, const std::vector<models::PackedInput>& packs,
           const bench::MatrixPeak& peak) {
  models::GradientAccumulator gradients(model.parameters(), models::Summation::kInOrder);
  jobs::AdamW optimizer(model.parameters(), {});
  const auto loss = models::make_loss({}, kTargets);
  double forward = 0.0, backward = 0.0, norm = 0.0, update = 0.0;
  Measured measured;
  for (int step = -1; step < arguments.steps; ++step) {  // step -1 warms up
    if (step == 0) forward = backward = norm = update = 0.0;
    const std::size_t batch = static_cast<std::size_t>(step + 1) % packs.size();
    const at::Tensor targets = at::zeros({packs[batch].num_inputs(), kTargets});
    const double start = wall_seconds();
    double now = start;
    const auto lap = [&](double& sum) {
      const double then = std::exchange(now, wall_seconds());
      sum += now - then;
    };
    gradients.begin_step();
    gradients.begin_pack();
    const models::ForwardContext context{
        models::Mode::kTraining, {1, static_cast<std::uint32_t>(step + 1), 0}, &gradients};
    const at::Tensor value = (*loss)(model.forward(packs[batch], context), targets, {loss->denominator(targets), {}});
    lap(forward);
    value.backward();
    gradients.end_pack();
    const models::FlatGradient gradient(gradients.sum_packs());
    lap(backward);
    models::gradient_norm(model.parameters(), gradient);
    lap(norm);
    optimizer.step(gradient, 1.0, 1e-5);
    model.parameters().refresh_compute_copies();
    lap(update);
    if (step < 0) continue;
    measured.seconds += now - start;
    measured.texts += batches[batch].size();
    measured.operations += 3 * forward_operations(config, batches[batch]);
  }

  const double step = measured.seconds / arguments.steps;
  std::printf("%.1f ms a step of %.1f texts\n", 1e3 * step, static_cast<double>(measured.texts) / arguments.steps);
  print_row("forward", forward / arguments.steps, step);
  print_row("backward", backward / arguments.steps, step);
  print_row("gradient norm", norm / arguments.steps, step);
  print_row("AdamW and compute copies", update / arguments.steps, step);
  std::printf("blocks alone, forward and backward, all layers, share of the step:\n");
  measured.peak_mib = peak_mebibytes();  // before the blocks take theirs
  print_blocks(config, packs[0], arguments.precision == "fp32" ? at::kFloat : at::kBFloat16, step);
  print_summary(arguments, measured, peak);
}

void run(const Arguments& arguments) {
  at::set_num_threads(arguments.threads);
  const bench::MatrixPeak peak = bench::measure_matrix_peak(arguments.threads);
  const models::BertConfig config = config_of(arguments.model);
  const auto batches = arguments.lengths == "snippets" ? snippets() : read_lengths(arguments.lengths);
  std::vector<models::PackedInput> packs;
  std::int64_t tokens = 0;
  for (const Lengths& batch : batches) {
    packs.push_back(make_pack(batch, static_cast<std::uint32_t>(packs.size())));
    tokens += packs.back().num_tokens();
  }
  std::printf("%s, %s, %s, %d threads, batches of %lld tokens in the mean\n", arguments.model.c_str(),
              arguments.precision.c_str(), models::ops::kernel_paths().c_str(), arguments.threads,
              static_cast<long long>(tokens) / static_cast<long long>(packs.size()));
  const auto model = make_model(config, arguments.precision == "fp32" ? at::kFloat : at::kBFloat16);
  (arguments.predict ? predict : train)(arguments, *model, config, batches, packs, peak);
}

}  // namespace
}  // namespace meshfold

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr,
                 "usage: training_step_bench minilm|bert-base fp32|bf16 LENGTHS|snippets [steps [threads "
                 "[train|predict]]]\n");
    return 2;
  }
  meshfold::Arguments arguments{argv[1], argv[2], argv[3]};
  if (argc > 4) arguments.steps = std::stoi(argv[4]);
  if (argc > 5) arguments.threads = std::stoi(argv[5]);
  arguments.predict = argc > 6 && std::string(argv[6]) == "predict";
  meshfold::run(arguments);
  return 0;
}
