// How fast one thread trains a model of MiniLM's shape (6 layers x 384, 12 heads, feed-forward 1536) on short texts,
// and where the time goes: forward, backward and AdamW on packs of 32 texts of 25 tokens in the mean. Processor time is
// counted, not the clock on the wall, so other work on the machine disturbs little.
//   training_step_bench [fp32|bf16] [steps]

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <time.h>

#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "dist/single_process_group.hpp"
#include "jobs/train/adamw.hpp"
#include "models/bert.hpp"
#include "models/gradient_accumulator.hpp"
#include "models/loss.hpp"
#include "models/ops/instruction_set.hpp"
#include "models/ops/ops.hpp"

namespace meshfold {
namespace {

constexpr std::int64_t kTexts = 32, kTargets = 1, kNumPacks = 8;

double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// Mean processor time of one call, after one that warms up.
double seconds_per_call(int calls, const std::function<void()>& work) {
  work();
  const double start = processor_seconds();
  for (int i = 0; i < calls; ++i) work();
  return (processor_seconds() - start) / calls;
}

/// Lengths as those of short social-media texts: 5 to 64 tokens, 25 in the mean.
models::PackedInput make_pack(std::uint32_t seed) {
  std::mt19937 random(seed);
  std::binomial_distribution<std::int64_t> ordinary(59, 0.339);
  models::PackedInput input{{}, {}, {}, {0}, {}, 1};
  std::vector<at::Tensor> positions;
  for (std::int64_t s = 0; s < kTexts; ++s) {
    const std::int64_t length = 5 + ordinary(random);
    positions.push_back(at::arange(length, at::kLong));
    input.cu_seqlens.push_back(static_cast<std::int32_t>(input.cu_seqlens.back() + length));
    input.philox_rows.push_back(static_cast<std::uint32_t>(seed * kTexts + s));
  }
  input.positions = at::cat(positions);
  input.token_ids = at::randint(30522, {input.num_tokens()}, at::kLong);
  input.segments = at::zeros_like(input.token_ids);
  return input;
}

std::unique_ptr<models::Model> make_model(const models::BertConfig& config, at::ScalarType type) {
  models::HeadConfig head;
  head.labels = {"target"};
  auto model = models::make_bert(config, head, {.hidden = 0.1, .attention = 0.1}, type);
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
    const at::Tensor left = dy.to(at::kFloat).t();
    at::mm_out(sum, left, x.to(at::kFloat));
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
  return static_cast<double>(config.num_layers) * seconds_per_call(10, [&] {
           const at::Tensor y = block(leaf);
           if (!dy.defined()) dy = at::randn(y.sizes()).to(y.scalar_type());
           leaf.mutable_grad() = at::Tensor();
           y.backward(dy);
         });
}

/// The three products behind one linear layer, and nothing else, in fp32.
double product_seconds(const models::BertConfig& config, std::int64_t tokens, std::int64_t in, std::int64_t out) {
  const at::Tensor x = at::randn({tokens, in}), weight = at::randn({out, in}), dy = at::randn({tokens, out});
  at::Tensor y = at::empty({tokens, out}), dx = at::empty({tokens, in}), gradient = at::empty({out, in});
  return static_cast<double>(config.num_layers) * seconds_per_call(10, [&] {
           at::mm_out(y, x, weight.t());
           at::mm_out(dx, dy, weight);
           at::mm_out(gradient, dy.t(), x);
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
  const models::ParameterView bias = parameter({hidden}), gamma = parameter({hidden});
  struct Layer {
    const char* name;
    std::int64_t in, out;
    Activation activation;
  };
  for (const Layer& layer : {Layer{"linear query, key, value", hidden, 3 * hidden, Activation::kNone},
                             Layer{"linear attention output", hidden, hidden, Activation::kNone},
                             Layer{"linear intermediate with GELU", hidden, wide, Activation::kGelu},
                             Layer{"linear output", wide, hidden, Activation::kNone}}) {
    const models::ParameterView weight = parameter({layer.out, layer.in}), layer_bias = parameter({layer.out});
    print_row(layer.name,
              block_seconds(config, at::randn({tokens, layer.in}).to(type),
                            [&](const at::Tensor& x) {
                              return models::ops::linear(x, weight, layer_bias, layer.activation, context);
                            }),
              step);
  }
  print_row("attention",
            block_seconds(config, at::randn({tokens, 3 * hidden}).to(type),
                          [&](const at::Tensor& x) {
                            return models::ops::attention(x, config.num_heads, {0.1, 0}, input, context);
                          }),
            step);
  const at::Tensor residual = at::randn({tokens, hidden}).set_requires_grad(true);
  print_row("add and norm, twice",
            2 * block_seconds(config, at::randn({tokens, hidden}).to(type),
                              [&](const at::Tensor& x) {
                                return models::ops::add_norm(x, residual, gamma, bias, 1e-12, {0.1, 0}, input, context);
                              }),
            step);
  const double products = product_seconds(config, tokens, hidden, 3 * hidden) +
                          product_seconds(config, tokens, hidden, hidden) +
                          product_seconds(config, tokens, hidden, wide) + product_seconds(config, tokens, wide, hidden);
  print_row("the linear layers' products alone, in fp32", products, step);
}

void run(at::ScalarType type, int steps) {
  models::BertConfig config;
  config.vocabulary_size = 30522;
  config.hidden_size = 384;
  config.num_layers = 6;
  config.num_heads = 12;
  config.intermediate_size = 1536;
  config.max_positions = 512;
  config.num_segments = 2;
  const auto model = make_model(config, type);
  models::GradientAccumulator gradients(model->parameters(), models::Summation::kInOrder);
  jobs::AdamW optimizer(model->parameters(), {});
  const auto loss = models::make_loss({}, kTargets);
  dist::SingleProcessGroup alone;
  std::vector<models::PackedInput> packs;
  std::int64_t tokens = 0;
  for (std::uint32_t i = 0; i < kNumPacks; ++i) {
    packs.push_back(make_pack(i));
    tokens += packs.back().num_tokens();
  }

  double forward = 0.0, backward = 0.0, reduction = 0.0, norm = 0.0, update = 0.0;
  const at::Tensor targets = at::randn({kTexts, kTargets});
  for (int step = -1; step < steps; ++step) {  // step -1 warms up
    if (step == 0) forward = backward = reduction = norm = update = 0.0;
    const models::PackedInput& input = packs[static_cast<std::size_t>(step + 1) % packs.size()];
    double now = processor_seconds();
    const auto lap = [&](double& sum) {
      const double then = std::exchange(now, processor_seconds());
      sum += now - then;
    };
    gradients.begin_step();
    gradients.begin_pack();
    const models::ForwardContext context{
        models::Mode::kTraining, {1, static_cast<std::uint32_t>(step + 1), 0}, &gradients};
    const at::Tensor value = (*loss)(model->forward(input, context), targets, {loss->denominator(targets), {}});
    lap(forward);
    value.backward();
    gradients.end_pack();
    lap(backward);
    const at::Tensor& gradient = gradients.reduce(alone);
    lap(reduction);
    models::gradient_norm(model->parameters(), gradient);
    lap(norm);
    optimizer.step(gradient, 1.0, 1e-5);
    model->parameters().refresh_compute_copies();
    lap(update);
  }

  const double step = (forward + backward + reduction + norm + update) / steps;
  std::printf("%s, %s, %lld tokens a pack of %lld texts: %.1f samples/s of processor time, %.1f ms a step\n",
              type == at::kFloat ? "fp32" : "bf16", models::ops::kernel_paths().c_str(),
              static_cast<long long>(tokens / kNumPacks), static_cast<long long>(kTexts),
              static_cast<double>(kTexts) / step, 1e3 * step);
  print_row("forward", forward / steps, step);
  print_row("backward", backward / steps, step);
  print_row("closing the gradient set", reduction / steps, step);
  print_row("gradient norm", norm / steps, step);
  print_row("AdamW and compute copies", update / steps, step);
  std::printf("blocks alone, forward and backward, all layers, share of the step:\n");
  print_blocks(config, packs[0], type, step);
}

}  // namespace
}  // namespace meshfold

int main(int argc, char** argv) {
  at::set_num_threads(1);
  const std::string type = argc > 1 ? argv[1] : "fp32";
  if (type != "fp32" && type != "bf16") {
    std::fprintf(stderr, "usage: training_step_bench [fp32|bf16] [steps]\n");
    return 2;
  }
  meshfold::run(type == "fp32" ? at::kFloat : at::kBFloat16, argc > 2 ? std::stoi(argv[2]) : 20);
  return 0;
}
