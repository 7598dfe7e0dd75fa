#include "models/bert.hpp"
#include "models/model_directory_json.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <numeric>

#include "dist/single_process_group.hpp"
#include "models/gradient_accumulator.hpp"
#include "models/loss.hpp"
#include "models/safetensors.hpp"

namespace meshfold::models {
namespace {

HeadConfig six_targets(Pooling pooling) {
  return {.task = Task::kRegression, .pooling = pooling, .labels = {"a", "b", "c", "d", "e", "f"}, .dropout = {}};
}

PackedInput pack_of(const at::Tensor& token_ids, const at::Tensor& segments, const std::vector<std::int64_t>& lengths) {
  PackedInput input{token_ids, at::empty_like(token_ids), segments, {0}, {}, 1};
  for (const std::int64_t length : lengths) {
    const std::int64_t first = input.cu_seqlens.back();
    input.positions.narrow(0, first, length).copy_(at::arange(length, at::kLong));
    input.cu_seqlens.push_back(static_cast<std::int32_t>(first + length));
    input.philox_rows.push_back(static_cast<std::uint32_t>(100 + input.philox_rows.size()));
  }
  return input;
}

struct Case {
  std::string directory;
  Pooling pooling;
};

class BertAgainstTransformers : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    const char* oracles = std::getenv("MESHFOLD_ORACLES");
    ASSERT_NE(oracles, nullptr);
    const auto directory = std::filesystem::path(oracles) / "bert" / GetParam().directory;
    const std::string pooling = GetParam().pooling == Pooling::kCls ? "cls" : "mean";
    reference_.emplace(SafetensorsFile::open(directory / ("reference_" + pooling + ".safetensors")));
    weights_.emplace(SafetensorsFile::open(directory / "model.safetensors"));
    config_ = read_bert_config(ConfigJson(directory));
  }

  std::unique_ptr<Model> model(at::ScalarType type) const {
    auto result = make_bert(config_, six_targets(GetParam().pooling), {.hidden = 0.0, .attention = 0.0}, type);
    for (const Parameter& parameter : result->parameters()) {
      at::Tensor(parameter.view.value).copy_(weights_->tensor(parameter.spec.name));
    }
    result->parameters().refresh_compute_copies();
    return result;
  }

  PackedInput input() const {
    const at::Tensor lengths = reference_->tensor("lengths");
    const auto* values = lengths.const_data_ptr<std::int64_t>();
    return pack_of(reference_->tensor("token_ids"), reference_->tensor("segments"), {values, values + lengths.numel()});
  }

  /// ||g - ref|| <= 1e-3 max(||ref||, 1e-6 ||all gradients||) for every parameter. The true gradient of a key bias is
  /// zero: the fp32 run's
  /// ("gradient.") is its own rounding, larger than the bound, so there only the fp64 run is a reference.
  void expect_gradients(const std::string& prefix, const ParameterStore& store, const at::Tensor& flat) const {
    double all = 0.0, worst = 0.0;
    for (const auto& parameter : store) {
      all += reference_->tensor(prefix + parameter.spec.name).square().sum().item<double>();
    }
    for (const auto& parameter : store) {
      if (prefix == "gradient." && parameter.spec.name.ends_with("key.bias")) continue;
      const at::Tensor expected = reference_->tensor(prefix + parameter.spec.name);
      const at::Tensor actual = flat.narrow(0, parameter.view.offset, parameter.num_elements).view_as(expected);
      const double bound = std::max(expected.norm().item<double>(), 1e-6 * std::sqrt(all));
      const double error = (actual - expected).norm().item<double>() / bound;
      EXPECT_LE(error, 1e-3) << prefix << parameter.spec.name << ", norms: ours " << actual.norm().item<double>()
                             << ", reference " << expected.norm().item<double>() << ", all " << std::sqrt(all);
      worst = std::max(worst, error);
    }
    RecordProperty(prefix == "gradient." ? "worst_gradient_error" : "worst_exact_gradient_error",
                   std::to_string(worst));
  }

  BertConfig config_;
  std::optional<SafetensorsFile> reference_, weights_;
};

TEST_P(BertAgainstTransformers, GivesTheSameLogitsAndEveryGradient) {
  const auto bert = model(at::kFloat);
  const ParameterStore& store = bert->parameters();
  GradientAccumulator accumulator(store, Summation::kInOrder);
  dist::SingleProcessGroup alone;
  const auto loss = make_loss({}, 6);
  const at::Tensor targets = reference_->tensor("targets");

  accumulator.begin_step();
  accumulator.begin_pack();
  const at::Tensor logits = bert->forward(input(), {Mode::kTraining, {}, &accumulator});
  (*loss)(logits, targets, {loss->denominator(targets), {}}).backward();
  accumulator.end_pack();
  const at::Tensor flat = accumulator.reduce(alone);

  const double logit_error = (logits - reference_->tensor("logits")).abs().max().item<double>();
  RecordProperty("logit_error", std::to_string(logit_error));
  EXPECT_LE(logit_error, 1e-4);
  expect_gradients("exact_gradient.", store, flat);
  expect_gradients("gradient.", store, flat);
}

TEST_P(BertAgainstTransformers, StaysCloseInBf16) {
  const at::Tensor expected = reference_->tensor("logits");

  const at::Tensor logits = model(at::kBFloat16)->forward(input(), {});

  const double error = (logits - expected).abs().max().item<double>() / expected.abs().max().item<double>();
  RecordProperty("relative_error", std::to_string(error));
  EXPECT_LE(error, 0.03);
  EXPECT_GT(error, 0.0);
}

INSTANTIATE_TEST_SUITE_P(Models, BertAgainstTransformers,
                         testing::Values(Case{"minilm", Pooling::kCls}, Case{"minilm", Pooling::kMean},
                                         Case{"gelu_new", Pooling::kCls}, Case{"gelu_new", Pooling::kMean},
                                         Case{"relu", Pooling::kCls}, Case{"relu", Pooling::kMean}),
                         [](const testing::TestParamInfo<Case>& entry) {
                           return entry.param.directory + (entry.param.pooling == Pooling::kCls ? "_cls" : "_mean");
                         });

/// A small model with random weights and dropout everywhere.
std::unique_ptr<Model> dropout_model() {
  BertConfig config;
  config.vocabulary_size = 50;
  config.hidden_size = 36;
  config.num_layers = 2;
  config.num_heads = 3;
  config.intermediate_size = 70;
  config.max_positions = 20;
  config.num_segments = 2;
  auto model = make_bert(config, six_targets(Pooling::kCls), {.hidden = 0.2, .attention = 0.2}, at::kFloat);
  at::manual_seed(3);
  at::Tensor(model->parameters().flat()).copy_(at::randn({model->parameters().num_elements()}) * 0.3);
  return model;
}

TEST(Bert, GivesOnePackOfEightTheLogitsAndGradientsOfEightPacksOfOneUnderDropout) {
  const auto model = dropout_model();
  const std::vector<std::int64_t> lengths = {1, 20, 7, 8, 9, 3, 16, 2};
  const std::int64_t tokens = std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0});
  const PackedInput whole = pack_of(at::randint(50, {tokens}, at::kLong), at::randint(2, {tokens}, at::kLong), lengths);
  GradientAccumulator together(model->parameters(), Summation::kInOrder),
      apart(model->parameters(), Summation::kInOrder);
  dist::SingleProcessGroup alone;
  const DrawContext draws{11, 5, 0};

  together.begin_step();
  together.begin_pack();
  const at::Tensor logits = model->forward(whole, {Mode::kTraining, draws, &together});
  logits.square().sum().backward();
  together.end_pack();
  apart.begin_step();
  for (std::size_t s = 0; s < lengths.size(); ++s) {
    const std::int64_t first = whole.cu_seqlens[s];
    const PackedInput one{whole.token_ids.narrow(0, first, lengths[s]),
                          whole.positions.narrow(0, first, lengths[s]),
                          whole.segments.narrow(0, first, lengths[s]),
                          {0, static_cast<std::int32_t>(lengths[s])},
                          {whole.philox_rows[s]},
                          1};
    apart.begin_pack();
    const at::Tensor row = model->forward(one, {Mode::kTraining, draws, &apart});
    row.square().sum().backward();
    apart.end_pack();
    EXPECT_LE((row[0] - logits[s]).abs().max().item<double>(), 1e-5) << "sample " << s;
  }

  const at::Tensor expected = apart.reduce(alone), actual = together.reduce(alone);
  EXPECT_LE((actual - expected).norm().item<double>(), 1e-5 * expected.norm().item<double>());
  const at::Tensor undropped = model->forward(whole, {});
  EXPECT_GT((undropped - logits).abs().max().item<double>(), 1e-2) << "dropout did nothing";
}

TEST(Bert, RehearsesTheOutputsOfTrainingToTheLastBitWithoutAGraph) {
  const auto model = dropout_model();
  const PackedInput input = pack_of(at::randint(50, {9}, at::kLong), at::randint(2, {9}, at::kLong), {4, 2, 3});
  GradientAccumulator accumulator(model->parameters(), Summation::kInOrder);
  const DrawContext draws{5, 2, 0};
  const at::Tensor trained = model->forward(input, {Mode::kTraining, draws, &accumulator});
  const at::Tensor rehearsed = model->forward(input, {Mode::kRehearsal, draws, nullptr});

  EXPECT_TRUE(at::equal(rehearsed, trained.detach()));
  EXPECT_FALSE(rehearsed.requires_grad());
  EXPECT_FALSE(at::equal(rehearsed, model->forward(input, {}))) << "dropout did nothing";
}

TEST(Bert, RunsForwardAndBackwardOnAnEmptyPack) {
  const auto model = dropout_model();
  const PackedInput empty = pack_of(at::empty({0}, at::kLong), at::empty({0}, at::kLong), {});
  GradientAccumulator accumulator(model->parameters(), Summation::kInOrder);
  dist::SingleProcessGroup alone;

  accumulator.begin_step();
  accumulator.begin_pack();
  const at::Tensor logits = model->forward(empty, {Mode::kTraining, {}, &accumulator});
  const at::Tensor loss = (*make_loss({}, 6))(logits, at::empty({0, 6}), {12.0, {}});
  loss.backward();
  accumulator.end_pack();

  EXPECT_EQ(logits.sizes(), (at::IntArrayRef{0, 6}));
  EXPECT_EQ(loss.item<float>(), 0.0F);
  EXPECT_EQ(accumulator.reduce(alone).abs().max().item<float>(), 0.0F);
}

}  // namespace
}  // namespace meshfold::models
