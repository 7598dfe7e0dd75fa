// A head over several texts and features against one model a text, each with its own part of the classifier.

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "models/gradients/gradient_accumulator.hpp"
#include "models/networks/bert.hpp"
#include "models/networks/sequence_model.hpp"
#include "models/parameters/parameter_initialization.hpp"

namespace meshfold::models {
namespace {

constexpr std::int64_t kWidth = 16, kViews = 3, kLabels = 2, kSamples = 4;

BertConfig tiny_bert() {
  BertConfig config;
  config.vocabulary_size = 40;
  config.hidden_size = kWidth;
  config.num_layers = 1;
  config.num_heads = 2;
  config.intermediate_size = 24;
  config.max_positions = 16;
  config.num_segments = 2;
  return config;
}

HeadConfig head_of(std::int64_t views, std::vector<Feature> features, Pooling pooling) {
  return {.task = Task::kClassification,
          .pooling = pooling,
          .labels = {"yes", "no"},
          .dropout = 0.25,
          .views = views,
          .features = std::move(features)};
}

std::unique_ptr<Model> make_model(const HeadConfig& head) {
  auto model =
      make_sequence_model(make_bert_backbone(tiny_bert(), {.hidden = 0.2, .attention = 0.1}), head, at::kFloat);
  for (const Parameter& parameter : model->parameters()) initialize_parameter(parameter, 11, 0.3);
  return model;
}

/// Text `view` of sample i has 2 + (i * 5 + view * 3) % 7 tokens.
void append_text(PackedInput& input, std::vector<std::int64_t>& tokens, std::uint32_t sample, std::uint32_t view) {
  const std::uint32_t length = 2 + (sample * 5 + view * 3) % 7;
  for (std::uint32_t i = 0; i < length; ++i) tokens.push_back((sample * 13 + view * 7 + i * 3) % 40);
  input.cu_seqlens.push_back(input.cu_seqlens.back() + static_cast<std::int32_t>(length));
  input.philox_rows.push_back(sample * kViews + view);
}

/// All samples with the views [first, first + count).
PackedInput input_of(std::uint32_t first, std::uint32_t count) {
  PackedInput input;
  input.cu_seqlens = {0};
  input.views_per_sample = count;
  std::vector<std::int64_t> tokens, positions;
  for (std::uint32_t sample = 0; sample < kSamples; ++sample) {
    for (std::uint32_t view = first; view < first + count; ++view) append_text(input, tokens, sample, view);
  }
  for (std::int64_t s = 0; s < input.num_inputs(); ++s) {
    for (std::int32_t i = input.cu_seqlens[s]; i < input.cu_seqlens[s + 1]; ++i) {
      positions.push_back(i - input.cu_seqlens[s]);
    }
  }
  input.token_ids = at::tensor(tokens, at::kLong);
  input.positions = at::tensor(positions, at::kLong);
  input.segments = at::zeros_like(input.token_ids);
  return input;
}

at::Tensor value_of(const Model& model, const std::string& name) { return model.parameters().view(name).value; }

struct Pass {
  at::Tensor outputs, gradient;  ///< gradient of the sum of outputs x weights, flat
};

Pass run(Model& model, const PackedInput& input, const at::Tensor& weights) {
  GradientAccumulator accumulator(model.parameters(), Summation::kInOrder);
  accumulator.begin_step();
  accumulator.begin_pack();
  const at::AutoGradMode with_grad(true);
  const at::Tensor outputs = model.forward(input, {Mode::kTraining, {.seed = 5, .step = 3, .pass = 0}, &accumulator});
  (outputs * weights).sum().backward();
  accumulator.end_pack();
  return {outputs.detach(), accumulator.sum_packs().clone()};
}

at::Tensor part_of(const Pass& pass, const Model& model, const std::string& name) {
  const ParameterView view = model.parameters().view(name);
  return pass.gradient.narrow(0, view.offset, view.value.numel()).view_as(view.value);
}

void expect_close(const at::Tensor& actual, const at::Tensor& expected, const std::string& what) {
  EXPECT_LE((actual - expected).abs().max().item<double>(), 1e-5 * std::max(1.0, expected.abs().max().item<double>()))
      << what;
}

class Views : public testing::TestWithParam<Pooling> {};

TEST_P(Views, StandSideBySideBeforeTheClassifierWithTheFeaturesBehindThem) {
  const auto together = make_model(head_of(kViews, {{"x", 2.0, 0.5}, {"y", -1.0, 4.0}}, GetParam()));
  const auto alone = make_model(head_of(1, {}, GetParam()));
  PackedInput all = input_of(0, kViews);
  all.features = at::arange(2 * kSamples, at::kFloat).view({kSamples, 2});
  const at::Tensor weights = at::arange(kSamples * kLabels, at::kFloat).view({kSamples, kLabels}).sin();
  const at::Tensor classifier = value_of(*together, "classifier.weight");
  ASSERT_EQ(classifier.sizes(), (at::IntArrayRef{kLabels, kViews * kWidth + 2}));

  const Pass whole = run(*together, all, weights);
  const at::Tensor standardised = (all.features - at::tensor({2.0F, -1.0F})) / at::tensor({0.5F, 4.0F});
  at::Tensor outputs = standardised.matmul(classifier.narrow(1, kViews * kWidth, 2).t());
  std::map<std::string, at::Tensor> gradients;
  for (std::uint32_t view = 0; view < kViews; ++view) {
    value_of(*alone, "classifier.weight").copy_(classifier.narrow(1, view * kWidth, kWidth));
    const Pass pass = run(*alone, input_of(view, 1), weights);
    outputs = outputs + pass.outputs;
    expect_close(part_of(whole, *together, "classifier.weight").narrow(1, view * kWidth, kWidth),
                 part_of(pass, *alone, "classifier.weight"), "classifier of view " + std::to_string(view));
    for (const Parameter& parameter : alone->parameters()) {
      const std::string& name = parameter.spec.name;
      if (name == "classifier.weight") continue;
      const at::Tensor own = part_of(pass, *alone, name);
      gradients[name] = gradients.contains(name) ? gradients[name] + own : own;
    }
  }

  expect_close(whole.outputs, outputs, "outputs");
  expect_close(part_of(whole, *together, "classifier.weight").narrow(1, kViews * kWidth, 2),
               weights.t().matmul(standardised), "classifier of the features");
  for (const auto& [name, gradient] : gradients) {
    if (name == "classifier.bias") continue;  // which the models of one text have three times
    expect_close(part_of(whole, *together, name), gradient, name);
  }
}

TEST_P(Views, AreRefusedWhenTheHeadReadsOthers) {
  const auto model = make_model(head_of(kViews, {{"x"}}, GetParam()));
  PackedInput two = input_of(0, 2);
  two.features = at::zeros({kSamples, 1});
  PackedInput bare = input_of(0, kViews);

  EXPECT_THROW(model->forward(two, {}), std::invalid_argument);
  EXPECT_THROW(model->forward(bare, {}), std::invalid_argument);
  bare.features = at::zeros({kSamples, 1});
  EXPECT_EQ(model->forward(bare, {}).sizes(), (at::IntArrayRef{kSamples, kLabels}));
}

INSTANTIATE_TEST_SUITE_P(OfBothPoolings, Views, testing::Values(Pooling::kCls, Pooling::kMean));

}  // namespace
}  // namespace meshfold::models
