#include "models/networks/bert.hpp"

#include <ATen/ATen.h>

#include <numeric>

#include "models/files/config_json.hpp"
#include "models/networks/sequence_model.hpp"
#include "tests/models/transformers_reference.hpp"

namespace meshfold::models {
namespace {

HeadConfig six_targets(Pooling pooling) {
  return {.task = Task::kRegression, .pooling = pooling, .labels = {"a", "b", "c", "d", "e", "f"}, .dropout = {}};
}

struct Case {
  std::string directory;
  Pooling pooling;
};

class BertAgainstTransformers : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    const auto directory = TransformersReference::directory("bert") / GetParam().directory;
    const std::string pooling = GetParam().pooling == Pooling::kCls ? "cls" : "mean";
    reference_.emplace(directory / ("reference_" + pooling + ".safetensors"));
    weights_.emplace(SafetensorsFile::open(directory / "model.safetensors"));
    config_ = read_bert_config(ConfigJson(directory));
  }

  std::unique_ptr<Model> model(at::ScalarType type) const {
    auto result = make_sequence_model(make_bert_backbone(config_, {.hidden = 0.0, .attention = 0.0}),
                                      six_targets(GetParam().pooling), type);
    for (const Parameter& parameter : result->parameters()) {
      at::Tensor(parameter.view.value).copy_(weights_->tensor(parameter.spec.name));
    }
    result->parameters().refresh_compute_copies();
    return result;
  }

  BertConfig config_;
  std::optional<TransformersReference> reference_;
  std::optional<SafetensorsFile> weights_;
};

TEST_P(BertAgainstTransformers, GivesTheSameLogitsAndEveryGradient) {
  reference_->expect_equal_step(*model(at::kFloat));
}

TEST_P(BertAgainstTransformers, StaysCloseInBf16) {
  const at::Tensor logits = model(at::kBFloat16)->forward(reference_->input(), {});

  const double error = relative_error(logits, reference_->tensor("logits"));
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
  auto model = make_sequence_model(make_bert_backbone(config, {.hidden = 0.2, .attention = 0.2}),
                                   six_targets(Pooling::kCls), at::kFloat);
  at::manual_seed(3);
  at::Tensor(model->parameters().flat()).copy_(at::randn({model->parameters().num_elements()}) * 0.3);
  return model;
}

TEST(Bert, GivesOnePackOfEightTheLogitsAndGradientsOfEightPacksOfOneUnderDropout) {
  const std::vector<std::int64_t> lengths = {1, 20, 7, 8, 9, 3, 16, 2};
  const std::int64_t tokens = std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0});
  const auto model = dropout_model();
  expect_packing_changes_nothing(
      *model, pack_of(at::randint(50, {tokens}, at::kLong), at::randint(2, {tokens}, at::kLong), lengths));
}

TEST(Bert, RunsForwardAndBackwardOnAnEmptyPack) { expect_empty_pack_runs(*dropout_model(), 6); }

}  // namespace
}  // namespace meshfold::models
