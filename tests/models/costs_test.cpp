// What models say that a pack costs, against what a forward and a backward really keep and make.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "models/gradients/gradient_accumulator.hpp"
#include "models/gradients/tensor_memory.hpp"
#include "models/networks/bert.hpp"
#include "models/networks/deberta.hpp"
#include "models/networks/pipeline_stage.hpp"
#include "models/networks/pooler.hpp"
#include "models/networks/sequence_model.hpp"
#include "tests/models/transformers_reference.hpp"

namespace meshfold::models {
namespace {

constexpr std::int64_t kWidth = 96, kLayers = 4, kHeads = 4;
constexpr DropoutOverrides kDropout{.hidden = 0.2, .attention = 0.2};

std::unique_ptr<Backbone> bert() {
  BertConfig config;
  config.vocabulary_size = 50;
  config.hidden_size = kWidth;
  config.num_layers = kLayers;
  config.num_heads = kHeads;
  config.intermediate_size = 3 * kWidth;
  config.max_positions = 300;
  config.num_segments = 2;
  return make_bert_backbone(config, kDropout);
}

std::unique_ptr<Backbone> deberta() {
  DebertaConfig config;
  config.vocabulary_size = 50;
  config.hidden_size = kWidth;
  config.embedding_size = 40;
  config.num_layers = kLayers;
  config.intermediate_size = 3 * kWidth;
  config.position_biased_input = false;
  config.relative_attention = config.norm_relative_embeddings = config.share_position_projections = true;
  config.attention = {.num_heads = kHeads,
                      .head_width = kWidth / kHeads,
                      .buckets = {.num_buckets = 64, .max_distance = 256},
                      .content_to_position = true,
                      .position_to_content = true};
  return make_deberta_backbone(config, kDropout);
}

PackedInput random_pack(const std::vector<std::int64_t>& lengths) {
  at::manual_seed(4);
  const std::int64_t tokens = std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0});
  return pack_of(at::randint(50, {tokens}, at::kLong), at::randint(2, {tokens}, at::kLong), lengths);
}

struct Case {
  const char* name;
  std::unique_ptr<Backbone> (*make)();
  at::ScalarType type;
  Pooling pooling;
  Recompute recompute;
  LayerRates rates;
};

std::int64_t live() { return static_cast<std::int64_t>(live_tensor_bytes()); }
std::int64_t peak() { return static_cast<std::int64_t>(peak_tensor_bytes()); }

void expect_near(std::int64_t stated, std::int64_t measured, double tolerance, const char* what) {
  EXPECT_NEAR(static_cast<double>(stated), static_cast<double>(measured), tolerance * static_cast<double>(measured))
      << what;
}

class CostsOfModels : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override { count_tensor_memory(); }

  std::unique_ptr<Model> model(const ModelLayout& layout = {}) const {
    HeadConfig head{.labels = {"a", "b"}, .dropout = {}};
    head.pooling = GetParam().pooling;
    head.first_state = 1;
    head.layer_pooling = Pooling::kMean;
    auto made =
        make_sequence_model(GetParam().make(), head, GetParam().type, layout, GetParam().recompute, GetParam().rates);
    at::manual_seed(3);
    at::Tensor(made->parameters().flat()).copy_(at::randn({made->parameters().num_elements()}) * 0.1);
    made->parameters().refresh_compute_copies();
    return made;
  }
};

TEST_P(CostsOfModels, AreWhatForwardKeepsAndWhatBothWaysMake) {
  const PackedInput input = random_pack({250, 190, 130, 60, 3});
  const auto whole = model();
  const StageCosts costs = whole->stage()->costs(whole->stage()->shape_of(input));
  GradientAccumulator accumulator(whole->parameters(), Summation::kInOrder);
  accumulator.begin_step();
  accumulator.begin_pack();
  const std::int64_t before = live();

  restart_tensor_peak();
  const at::Tensor outputs = whole->forward(input, {Mode::kTraining, {11, 5, 1}, &accumulator});
  const std::int64_t kept = live() - before, forward_peak = peak() - before;
  const at::Tensor loss = outputs.square().sum();
  restart_tensor_peak();
  loss.backward();
  const std::int64_t backward_peak = peak() - before;

  expect_near(costs.blocks.kept, kept, 0.05, "kept");
  if (GetParam().recompute == Recompute::kLayers) {
    EXPECT_LT(forward_peak, backward_peak) << "so what a layer makes that keeps nothing is of no interest";
  } else {
    expect_near(costs.blocks.kept + costs.blocks.working_forward, forward_peak, 0.1, "at the peak of forward");
  }
  expect_near(costs.blocks.kept + costs.blocks.working_backward, backward_peak, 0.1, "at the peak of backward");
}

TEST_P(CostsOfModels, NameTheShapesThatAStageHandsOn) {
  const PackedInput input = random_pack({25, 9, 1});
  ModelLayout first, last;
  first.pipeline_ranks = last.pipeline_ranks = 2;
  last.pipeline_rank = 1;
  const auto model_of_first = model(first), model_of_last = model(last);
  PipelineStage& stage = *model_of_first->stage();
  GradientAccumulator accumulator(model_of_first->parameters(), Summation::kInOrder);
  accumulator.begin_step();
  accumulator.begin_pack();

  const std::vector<at::Tensor> sent = stage.run(input, {}, {Mode::kTraining, {11, 5, 1}, &accumulator});
  const PackShape shape = stage.shape_of(input);
  const std::vector<StreamPart> outgoing = stage.outgoing(shape), incoming = model_of_last->stage()->incoming(shape);

  ASSERT_EQ(outgoing.size(), sent.size());
  ASSERT_EQ(incoming.size(), sent.size());
  for (std::size_t i = 0; i < sent.size(); ++i) {
    EXPECT_EQ(sent[i].sizes().vec(), outgoing[i].shape) << i;
    EXPECT_EQ(sent[i].requires_grad(), outgoing[i].learns) << i;
    EXPECT_EQ(incoming[i].shape, outgoing[i].shape) << i;
    EXPECT_EQ(incoming[i].learns, outgoing[i].learns) << i;
  }
}

constexpr LayerRates kFrozen{.freeze_embeddings = true, .freeze_lower_layers = 1};

INSTANTIATE_TEST_SUITE_P(
    Kinds, CostsOfModels,
    testing::Values(Case{"BertMean", bert, at::kFloat, Pooling::kMean, Recompute::kNone, {}},
                    Case{"BertCls", bert, at::kFloat, Pooling::kCls, Recompute::kNone, {}},
                    Case{"BertWeightedFrozen", bert, at::kFloat, Pooling::kWeightedLayers, Recompute::kNone, kFrozen},
                    Case{"BertRecomputed", bert, at::kFloat, Pooling::kMax, Recompute::kLayers, {}},
                    Case{"BertClsBf16", bert, at::kBFloat16, Pooling::kCls, Recompute::kNone, {}},
                    Case{"BertAttention", bert, at::kFloat, Pooling::kAttention, Recompute::kNone, {}},
                    Case{"BertAttentionBf16", bert, at::kBFloat16, Pooling::kAttention, Recompute::kNone, {}},
                    Case{"DebertaMean", deberta, at::kFloat, Pooling::kMean, Recompute::kNone, {}},
                    Case{"DebertaCls", deberta, at::kFloat, Pooling::kCls, Recompute::kNone, {}},
                    Case{"DebertaMeanBf16", deberta, at::kBFloat16, Pooling::kMean, Recompute::kNone, {}},
                    Case{"DebertaClsRecomputed", deberta, at::kFloat, Pooling::kCls, Recompute::kLayers, {}}),
    [](const auto& entry) { return std::string(entry.param.name); });

/// Layers make more than a pooler, so its own moments are looked at apart.
TEST(Costs, OfAnAttentionPoolerAreWhatItKeepsAndMakes) {
  count_tensor_memory();
  HeadConfig head{.labels = {"a"}, .dropout = {}};
  head.pooling = Pooling::kAttention;
  const PackedInput input = random_pack({250, 190, 130, 60, 3});
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const auto backbone = bert();
    const auto pooler = make_pooler(head, *backbone);
    ParameterStore store;
    ParameterDeclaration declare(store, Region::kSamples);
    pooler->declare(declare);
    store.allocate(at::kCPU, type);
    at::Tensor(store.flat()).copy_(at::randn({store.num_elements()}) * 0.1);
    store.refresh_compute_copies();
    pooler->bind(store);
    GradientAccumulator accumulator(store, Summation::kInOrder);
    accumulator.begin_step();
    accumulator.begin_pack();
    const std::int64_t T = input.num_tokens();
    const ops::BlockCosts costs = pooler->costs({{T, 5, 250, 0}, T, 1, type == at::kFloat ? 4 : 2});
    const std::int64_t before = live();

    restart_tensor_peak();
    HiddenStates states{kLayers, {at::randn({T, kWidth}).set_requires_grad(true)}};
    const at::Tensor pooled = (*pooler)(states, input, {Mode::kTraining, {11, 5, 1}, &accumulator});
    const std::int64_t kept = live() - before, forward_peak = peak() - before;
    const at::Tensor loss = pooled.square().sum();
    restart_tensor_peak();
    loss.backward();
    const std::int64_t backward_peak = peak() - before;

    expect_near(costs.kept, kept, 0.05, "kept");
    expect_near(costs.kept + costs.working_forward, forward_peak, 0.1, "at the peak of forward");
    expect_near(costs.kept + costs.working_backward, backward_peak, 0.1, "at the peak of backward");
  }
}

TEST(Costs, OfAnInputAreThoseThatPacksHaveAlwaysBeenCutBy) {
  for (const std::uint64_t length : {0, 1, 2, 77, 512, 100000}) {
    EXPECT_EQ(bert()->input_cost(length), length * (6 * kWidth + length));
    EXPECT_EQ(deberta()->input_cost(length), length * (6 * kWidth + length));
  }
}

}  // namespace
}  // namespace meshfold::models
