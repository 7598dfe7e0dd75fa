#include "models/networks/recomputed_layer.hpp"

#include <cmath>
#include <numeric>

#include "models/networks/bert.hpp"
#include "models/networks/deberta.hpp"
#include "models/networks/sequence_model.hpp"
#include "tests/models/peak_memory.hpp"
#include "tests/models/transformers_reference.hpp"

namespace meshfold::models {
namespace {

constexpr std::int64_t kWidth = 48, kLayers = 12;

std::unique_ptr<Backbone> bert() {
  BertConfig config;
  config.vocabulary_size = 50;
  config.hidden_size = kWidth;
  config.num_layers = kLayers;
  config.num_heads = 3;
  config.intermediate_size = 3 * kWidth;
  config.max_positions = 2000;
  config.num_segments = 2;
  return make_bert_backbone(config, {.hidden = 0.2, .attention = 0.2});
}

std::unique_ptr<Backbone> deberta() {
  DebertaConfig config;
  config.vocabulary_size = 50;
  config.hidden_size = kWidth;
  config.num_layers = kLayers;
  config.intermediate_size = 3 * kWidth;
  config.position_biased_input = false;
  config.relative_attention = config.norm_relative_embeddings = config.share_position_projections = true;
  config.attention = {.num_heads = 3,
                      .head_width = 16,
                      .scale = 1 / std::sqrt(3.0 * 16),
                      .buckets = {.num_buckets = 16, .max_distance = 64},
                      .content_to_position = true,
                      .position_to_content = true};
  return make_deberta_backbone(config, {.hidden = 0.2, .attention = 0.2});
}

struct Kind {
  const char* name;
  std::unique_ptr<Backbone> (*make)();
  at::ScalarType type;
};

struct Step {
  at::Tensor logits, gradients;
  std::int64_t peak_bytes;
};

Step step_of(const Kind& kind, Recompute recompute, const PackedInput& input) {
  const HeadConfig head{.task = Task::kRegression, .pooling = Pooling::kCls, .labels = {"a", "b"}, .dropout = {}};
  const auto model = make_sequence_model(kind.make(), head, kind.type, {}, recompute);
  at::manual_seed(3);
  at::Tensor(model->parameters().flat()).copy_(at::randn({model->parameters().num_elements()}) * 0.2);
  model->parameters().refresh_compute_copies();
  GradientAccumulator accumulator(model->parameters(), Summation::kInOrder);
  accumulator.begin_step();
  accumulator.begin_pack();
  Step step;
  step.peak_bytes = peak_growth([&] {
    step.logits = model->forward(input, {Mode::kTraining, {11, 5, 1}, &accumulator});
    step.logits.square().sum().backward();
  });
  accumulator.end_pack();
  step.gradients = accumulator.sum_packs().clone();
  return step;
}

PackedInput random_pack(const std::vector<std::int64_t>& lengths) {
  at::manual_seed(4);
  const std::int64_t tokens = std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0});
  return pack_of(at::randint(50, {tokens}, at::kLong), at::randint(2, {tokens}, at::kLong), lengths);
}

class RecomputedLayers : public testing::TestWithParam<Kind> {};

TEST_P(RecomputedLayers, GiveTheSameBitsUnderDropout) {
  const PackedInput input = random_pack({20, 1, 90, 33});

  const Step kept = step_of(GetParam(), Recompute::kNone, input);
  const Step recomputed = step_of(GetParam(), Recompute::kLayers, input);

  EXPECT_TRUE(at::equal(kept.logits, recomputed.logits));
  EXPECT_TRUE(at::equal(kept.gradients, recomputed.gradients));
  EXPECT_GT(kept.gradients.abs().max().item<float>(), 0.0F);
}

TEST_P(RecomputedLayers, NeedLessThanHalfOfTheMemory) {
  const PackedInput input = random_pack(std::vector<std::int64_t>(50, 100));
  step_of(GetParam(), Recompute::kNone, random_pack({100}));  // first use of the libraries

  const Step recomputed = step_of(GetParam(), Recompute::kLayers, input);
  const Step kept = step_of(GetParam(), Recompute::kNone, input);

  if (kept.peak_bytes < 0 || recomputed.peak_bytes < 0) GTEST_SKIP() << "no largest resident size to be had here";
  RecordProperty("kept_bytes", std::to_string(kept.peak_bytes));
  RecordProperty("recomputed_bytes", std::to_string(recomputed.peak_bytes));
  EXPECT_LT(2 * recomputed.peak_bytes, kept.peak_bytes);
}

INSTANTIATE_TEST_SUITE_P(Kinds, RecomputedLayers,
                         testing::Values(Kind{"Bert", bert, at::kFloat}, Kind{"Deberta", deberta, at::kFloat},
                                         Kind{"DebertaBf16", deberta, at::kBFloat16}),
                         [](const auto& entry) { return std::string(entry.param.name); });

}  // namespace
}  // namespace meshfold::models
