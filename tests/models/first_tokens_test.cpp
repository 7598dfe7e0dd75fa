// A layer of which only the first tokens' rows are wanted against the same layer computed whole.
#include <cmath>
#include <numeric>

#include "models/context/back_end.hpp"
#include "models/gradients/tensor_memory.hpp"
#include "models/networks/bert.hpp"
#include "models/networks/deberta.hpp"
#include "models/networks/sequence_model.hpp"
#include "models/ops/pooling.hpp"
#include "tests/models/transformers_reference.hpp"

namespace meshfold::models {
namespace {

constexpr std::int64_t kWidth = 48, kLayers = 2;
constexpr DropoutOverrides kDropout{.hidden = 0.2, .attention = 0.2};

std::unique_ptr<Backbone> bert() {
  BertConfig config;
  config.vocabulary_size = 50;
  config.hidden_size = kWidth;
  config.num_layers = kLayers;
  config.num_heads = 3;
  config.intermediate_size = 3 * kWidth;
  config.max_positions = 200;
  config.num_segments = 2;
  return make_bert_backbone(config, kDropout);
}

std::unique_ptr<Backbone> deberta(bool shares_projections) {
  DebertaConfig config;
  config.vocabulary_size = 50;
  config.hidden_size = kWidth;
  config.num_layers = kLayers;
  config.intermediate_size = 3 * kWidth;
  config.position_biased_input = false;
  config.relative_attention = config.norm_relative_embeddings = true;
  config.share_position_projections = shares_projections;
  config.attention = {.num_heads = 3,
                      .head_width = 16,
                      .scale = 1 / std::sqrt(3.0 * 16),
                      .buckets = {.num_buckets = 16, .max_distance = 64},
                      .content_to_position = true,
                      .position_to_content = true};
  return make_deberta_backbone(config, kDropout);
}

struct Kind {
  const char* name;
  std::unique_ptr<Backbone> (*make)();
  at::ScalarType type;
  double bound;
};

PackedInput random_pack(const std::vector<std::int64_t>& lengths) {
  at::manual_seed(4);
  const std::int64_t tokens = std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0});
  return pack_of(at::randint(50, {tokens}, at::kLong), at::randint(2, {tokens}, at::kLong), lengths);
}

class FirstTokens : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    backbone_ = GetParam().make();
    backbone_->declare({store_, Region::kTokens});
    store_.allocate(at::kCPU, GetParam().type);
    at::manual_seed(3);
    at::Tensor(store_.flat()).copy_(at::randn({store_.num_elements()}) * 0.2);
    store_.refresh_compute_copies();
    backbone_->bind(store_, {0, kLayers});
  }

  struct Result {
    at::Tensor hidden;     ///< of the first tokens, [S, H]
    at::Tensor gradients;  ///< of all parameters
  };

  /// The first tokens' rows of the last layer under dropout; where `rows` is kAll they are chosen afterwards.
  Result run(const PackedInput& input, QueryRows rows) {
    GradientAccumulator accumulator(store_, Summation::kInOrder);
    accumulator.begin_step();
    accumulator.begin_pack();
    const ForwardContext context{Mode::kTraining, {11, 5, 1}, &accumulator};
    const LayerStream below = backbone_->layer(backbone_->embed(input, context), 0, QueryRows::kAll, input, context);
    const at::Tensor last = backbone_->layer(below, 1, rows, input, context).hidden;
    const at::Tensor hidden = rows == QueryRows::kAll ? ops::pool_cls(last, input) : last;
    at::manual_seed(8);
    hidden.backward(at::randn(hidden.sizes()));
    accumulator.end_pack();
    return {hidden.detach(), accumulator.sum_packs().clone()};
  }

  std::unique_ptr<Backbone> backbone_;
  ParameterStore store_;
};

TEST_P(FirstTokens, OfALayerHaveTheOutputsAndGradientsOfTheWholeLayer) {
  const PackedInput input = random_pack({20, 1, 90, 33, 1});
  const double bound = GetParam().bound;

  const Result whole = run(input, QueryRows::kAll), first = run(input, QueryRows::kFirst);

  EXPECT_LE((first.hidden - whole.hidden).norm().item<double>(), bound * whole.hidden.norm().item<double>());
  // The gradient of a key's bias is zero but for rounding in attention without position terms.
  const double all = whole.gradients.norm().item<double>();
  for (const Parameter& parameter : store_) {
    const auto of = [&](const Result& result) {
      return result.gradients.narrow(0, parameter.view.offset, parameter.num_elements);
    };
    const double size = of(whole).norm().item<double>(), error = (of(first) - of(whole)).norm().item<double>();
    EXPECT_LE(error, bound * size + 0.01 * bound * all) << parameter.spec.name;
  }
}

TEST_P(FirstTokens, OfAnEmptyPackAreNone) {
  const Result first = run(random_pack({}), QueryRows::kFirst);
  EXPECT_EQ(first.hidden.sizes(), (at::IntArrayRef{0, kWidth}));
  EXPECT_EQ(first.gradients.abs().max().item<float>(), 0.0F);
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, FirstTokens,
    testing::Values(Kind{"Bert", bert, at::kFloat, 1e-6}, Kind{"BertBf16", bert, at::kBFloat16, 1e-2},
                    Kind{"Deberta", [] { return deberta(true); }, at::kFloat, 1e-6},
                    Kind{"DebertaBf16", [] { return deberta(true); }, at::kBFloat16, 1e-2},
                    Kind{"DebertaWithProjectionsOfPositions", [] { return deberta(false); }, at::kFloat, 1e-6}),
    [](const auto& entry) { return std::string(entry.param.name); });

TEST(FirstTokens, KeepPositionsDrawsViewsAndFeatures) {
  PackedInput input = random_pack({3, 1, 4, 2});
  input.views_per_sample = 2;
  input.features = at::randn({2, 3});

  const PackedInput first = first_tokens(input);

  EXPECT_EQ(first.cu_seqlens, (std::vector<std::int32_t>{0, 1, 2, 3, 4}));
  const at::Tensor starts = at::tensor({0, 3, 4, 8}, at::kLong);
  EXPECT_TRUE(at::equal(first.token_ids, input.token_ids.index_select(0, starts)));
  EXPECT_TRUE(at::equal(first.segments, input.segments.index_select(0, starts)));
  EXPECT_TRUE(at::equal(first.positions, at::zeros({4}, at::kLong)));
  EXPECT_EQ(first.philox_rows, input.philox_rows);
  EXPECT_EQ(first.views_per_sample, 2);
  EXPECT_TRUE(at::equal(first.features, input.features));
}

/// Outputs and gradients of a model that pools so, under dropout; the last layer's rows are the model's own choice.
struct Step {
  at::Tensor outputs, gradients;
};

Step step_of(const HeadConfig& head, const LayerRates& rates, const PackedInput& input) {
  const auto model = make_sequence_model(deberta(true), head, at::kFloat, {}, Recompute::kNone, rates);
  at::manual_seed(3);
  at::Tensor(model->parameters().flat()).copy_(at::randn({model->parameters().num_elements()}) * 0.2);
  GradientAccumulator accumulator(model->parameters(), Summation::kInOrder);
  accumulator.begin_step();
  accumulator.begin_pack();
  const at::Tensor outputs = model->forward(input, {Mode::kTraining, {11, 5, 1}, &accumulator});
  outputs.square().sum().backward();
  accumulator.end_pack();
  return {outputs.detach(), accumulator.sum_packs().clone()};
}

/// Mean pooling computes every row, and the mean over one token is that token.
TEST(FirstTokens, OfTextsOfOneTokenAreTheirMean) {
  const PackedInput input = random_pack({1, 1, 1});
  HeadConfig head{.labels = {"a", "b"}, .dropout = {}};
  head.pooling = Pooling::kWeightedLayers;
  head.first_state = 1;
  const auto with = [&](Pooling pooling) {
    head.layer_pooling = pooling;
    return step_of(head, {}, input);
  };

  const Step cls = with(Pooling::kCls), mean = with(Pooling::kMean);

  EXPECT_LE((cls.outputs - mean.outputs).norm().item<double>(), 1e-6 * mean.outputs.norm().item<double>());
  EXPECT_LE((cls.gradients - mean.gradients).norm().item<double>(), 1e-6 * mean.gradients.norm().item<double>());
}

/// Bytes that forward keeps for backward under a head.
double kept_bytes(std::unique_ptr<Backbone> backbone, const HeadConfig& head, const PackedInput& input) {
  count_tensor_memory();
  const auto model = make_sequence_model(std::move(backbone), head, at::kFloat, {}, Recompute::kNone, {});
  GradientAccumulator accumulator(model->parameters(), Summation::kInOrder);
  const auto before = static_cast<double>(live_tensor_bytes());
  const at::Tensor outputs = model->forward(input, {Mode::kTraining, {11, 5, 1}, &accumulator});
  return static_cast<double>(live_tensor_bytes()) - before;
}

/// A layer that is computed whole keeps several times what one keeps that has only its keys and values.
TEST(FirstTokens, AreAllThatAModelComputesOfItsLastLayerWhereTheHeadReadsNoMore) {
  const PackedInput input = random_pack({180, 190, 150});
  HeadConfig cls{.labels = {"a"}, .dropout = {}}, mean = cls;
  mean.pooling = Pooling::kMean;
  HeadConfig weighted_cls = cls;
  weighted_cls.pooling = Pooling::kWeightedLayers;
  weighted_cls.first_state = 1;
  weighted_cls.layer_pooling = Pooling::kCls;
  HeadConfig weighted_mean = weighted_cls;
  weighted_mean.layer_pooling = Pooling::kMean;

  EXPECT_LT(kept_bytes(bert(), cls, input), 0.75 * kept_bytes(bert(), mean, input));
  EXPECT_LT(kept_bytes(deberta(true), cls, input), 0.75 * kept_bytes(deberta(true), mean, input));
  EXPECT_LT(kept_bytes(bert(), weighted_cls, input), 0.75 * kept_bytes(bert(), weighted_mean, input));
}

TEST(FirstTokens, CarryNoGradientIntoFrozenLayers) {
  const PackedInput input = random_pack({20, 1, 33});
  const HeadConfig head{.labels = {"a", "b"}, .dropout = {}};
  LayerRates rates;
  rates.freeze_embeddings = true;
  rates.freeze_lower_layers = kLayers;

  const Step learning = step_of(head, {}, input), frozen = step_of(head, rates, input);

  EXPECT_TRUE(at::equal(learning.outputs, frozen.outputs));
  const auto model = make_sequence_model(deberta(true), head, at::kFloat, {}, Recompute::kNone, rates);
  for (const Parameter& parameter : std::as_const(*model).parameters()) {
    const auto of = [&](const Step& step) {
      return step.gradients.narrow(0, parameter.view.offset, parameter.num_elements);
    };
    const bool is_frozen = parameter.spec.rate == 0.0;
    EXPECT_TRUE(is_frozen ? of(frozen).eq(0).all().item<bool>() : at::equal(of(frozen), of(learning)))
        << parameter.spec.name;
  }
}

}  // namespace
}  // namespace meshfold::models
