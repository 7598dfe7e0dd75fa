// What a model does with its layers follows from their declaration, whatever its parameters are called.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "models/networks/deberta.hpp"
#include "models/networks/pipeline_stage.hpp"
#include "models/networks/sequence_model.hpp"
#include "models/ops/embed.hpp"
#include "models/ops/linear.hpp"
#include "models/ops/norm.hpp"
#include "tests/models/transformers_reference.hpp"

namespace meshfold::models {
namespace {

constexpr std::int64_t kWidth = 8, kLayers = 3;

/// A network of residual linears whose names are those of a decoder of transformers: "model.layers.0.mlp.weight".
class PlainBackbone final : public Backbone {
 public:
  void declare(const ParameterDeclaration& declare) const override {
    declare.table("model.embed_tokens", 20, kWidth);
    declare.norm("model.embed_norm", kWidth);
    for (std::int64_t layer = 0; layer < kLayers; ++layer) {
      const ParameterDeclaration of_layer = declare.in_layer(layer);
      of_layer.norm(prefix(layer) + "norm", kWidth);
      of_layer.linear(prefix(layer) + "mlp", {.role = Role::kOutput, .out = kWidth, .in = kWidth, .bias = Bias::kNo});
    }
  }
  void bind(const ParameterStore& store, const LayerRange& range) override {
    if (range.first == 0) words_ = store.view("model.embed_tokens.weight");
    if (range.first == 0) norm_ = find_norm(store, "model.embed_norm", 1e-5);
    linears_.assign(kLayers, {});
    norms_.assign(kLayers, {});
    for (std::int64_t layer = range.first; layer < range.end; ++layer) {
      linears_[static_cast<std::size_t>(layer)] = find_linear(store, prefix(layer) + "mlp");
      norms_[static_cast<std::size_t>(layer)] = find_norm(store, prefix(layer) + "norm", 1e-5);
    }
  }
  LayerStream embed(const PackedInput& input, const ForwardContext& context) const override {
    return {ops::embed(input, {words_, {}, {}}, norm_, {0.0, 0}, context), {}};
  }
  LayerStream layer(const LayerStream& stream, std::int64_t index, QueryRows, const PackedInput& input,
                    const ForwardContext& context) const override {
    const auto i = static_cast<std::size_t>(index);
    const at::Tensor mixed = ops::linear(stream.hidden, linears_[i], ops::Activation::kTanh, context);
    return {ops::add_norm(mixed, stream.hidden, norms_[i], {0.0, 0}, input, context), {}};
  }
  BackboneShape shape() const override {
    return {.num_layers = kLayers,
            .hidden_size = kWidth,
            .num_heads = 1,
            .vocabulary_size = 20,
            .max_positions = 64};
  }
  ops::BlockCosts embedding_costs(const PackOnRank&) const override { return {}; }
  ops::BlockCosts layer_costs(std::int64_t, QueryRows, const PackOnRank&) const override { return {}; }
  TokenWork token_work() const override { return {.embeddings = kWidth, .layer = kWidth * kWidth, .head = kWidth}; }
  std::uint64_t input_cost(std::uint64_t length) const override { return length; }
  PoolerConfig pooler() const override { return {.name = "score"}; }
  DropoutOverrides dropout() const override { return {}; }
  double classifier_dropout() const override { return 0.0; }
  double initializer_range() const override { return 0.02; }
  std::string description() const override { return "plain"; }

 private:
  static std::string prefix(std::int64_t layer) { return "model.layers." + std::to_string(layer) + "."; }

  ParameterView words_;
  Norm norm_;
  std::vector<Linear> linears_;
  std::vector<Norm> norms_;
};

HeadConfig mean_head() {
  HeadConfig head{.labels = {"a", "b"}, .dropout = {}};
  head.pooling = Pooling::kMean;
  return head;
}

std::unique_ptr<Model> make_plain(const LayerRates& rates, const ModelLayout& layout = {}) {
  auto model =
      make_sequence_model(std::make_unique<PlainBackbone>(), mean_head(), at::kFloat, layout, Recompute::kNone, rates);
  at::manual_seed(3);
  at::Tensor(model->parameters().flat()).copy_(at::randn({model->parameters().num_elements()}));
  return model;
}

/// Where `name` lies: -1 for the embeddings, the layer, or kLayers for the head.
std::int64_t place_of(const std::string& name) {
  if (name.starts_with("model.embed")) return -1;
  if (name.starts_with("model.layers.")) return name[13] - '0';
  return kLayers;
}

TEST(DeclaredLayers, LearnAtTheirRatesUnderAnyName) {
  const auto model = make_plain({.decay = 0.5});

  for (const Parameter& parameter : model->parameters()) {
    const auto below_head = static_cast<double>(kLayers - place_of(parameter.spec.name));
    EXPECT_DOUBLE_EQ(parameter.spec.rate, std::pow(0.5, below_head)) << parameter.spec.name;
  }
}

/// Keeps where each parameter's gradient went, and what was said to be complete.
class Seen final : public GradientSink {
 public:
  void add_product(const ParameterView& weight, const at::Tensor&, const at::Tensor&) override { note(weight); }
  void add(const ParameterView& parameter, const at::Tensor&) override { note(parameter); }
  void add_rows(const ParameterView& table, const at::Tensor&, const at::Tensor&) override { note(table); }
  void complete_from(std::int64_t first) override { complete.push_back(first); }

  std::vector<std::int64_t> offsets, complete;

 private:
  void note(const ParameterView& view) { offsets.push_back(view.offset); }
};

Seen backward_through(Model& model) {
  const PackedInput input = pack_of(at::arange(0, 12, at::kLong), at::zeros({12}, at::kLong), {5, 7});
  Seen seen;
  model.forward(input, {Mode::kTraining, {1, 2, 0}, &seen}).sum().backward();
  return seen;
}

TEST(DeclaredLayers, AreFrozenUnderAnyName) {
  const auto model = make_plain({.freeze_embeddings = true, .freeze_lower_layers = 2});
  const Seen seen = backward_through(*model);

  for (const Parameter& parameter : model->parameters()) {
    const bool frozen = place_of(parameter.spec.name) < 2;
    EXPECT_EQ(parameter.spec.rate == 0.0, frozen) << parameter.spec.name;
    EXPECT_EQ(std::ranges::count(seen.offsets, parameter.view.offset) == 0, frozen) << parameter.spec.name;
  }
}

TEST(DeclaredLayers, AreSaidToBeCompleteWhereTheyBegin) {
  const auto model = make_plain({});
  std::vector<std::int64_t> begins;
  for (std::int64_t layer = kLayers; layer-- > 0;) {
    begins.push_back(model->parameters().find("model.layers." + std::to_string(layer) + ".norm.weight")->view.offset);
  }

  EXPECT_EQ(backward_through(*model).complete, begins);
}

TEST(DeclaredLayers, AreDrawnAnewFromTheTopUnderAnyName) {
  const auto model = make_plain({});

  for (const Parameter& parameter : model->parameters()) {
    const std::int64_t place = place_of(parameter.spec.name);
    EXPECT_EQ(parameter.spec.is_in_layers(kLayers - 2, kLayers), place == 1 || place == 2) << parameter.spec.name;
    EXPECT_FALSE(parameter.spec.is_in_layers(kLayers, kLayers)) << parameter.spec.name;
  }
}

TEST(DeclaredLayers, AreCutIntoStagesUnderAnyName) {
  ModelLayout layout;
  layout.pipeline_ranks = 2;
  layout.stage_layers = {2, 1};
  std::vector<std::string> names;
  for (layout.pipeline_rank = 0; layout.pipeline_rank < 2; ++layout.pipeline_rank) {
    const auto stage = make_plain({}, layout);
    for (const Parameter& parameter : stage->parameters()) {
      EXPECT_EQ(place_of(parameter.spec.name) < 2 ? 0 : 1, layout.pipeline_rank) << parameter.spec.name;
      names.push_back(parameter.spec.name);
    }
  }
  EXPECT_EQ(names.size(), std::as_const(*make_plain({})).parameters().size());
}

/// The names of transformers' encoders state the layer, so they can tell whether it was declared rightly.
TEST(DeclaredLayers, AreThoseThatHuggingFaceNamesStateInDeberta) {
  DebertaConfig config;
  config.vocabulary_size = 20;
  config.hidden_size = kWidth;
  config.embedding_size = 4;
  config.num_layers = 12;
  config.intermediate_size = kWidth;
  config.num_segments = 2;
  config.max_positions = 16;
  config.relative_attention = config.norm_relative_embeddings = true;
  config.attention = {.num_heads = 2,
                      .head_width = kWidth / 2,
                      .buckets = {.num_buckets = 4, .max_distance = 12},
                      .content_to_position = true,
                      .position_to_content = true};
  ParameterStore store;

  make_deberta_backbone(config, {})->declare({store, Region::kTokens});

  std::size_t of_layers = 0;
  for (const Parameter& parameter : store) {
    const ParameterSpec& spec = parameter.spec;
    const std::string mark = ".layer." + std::to_string(spec.layer.value_or(0)) + ".";
    EXPECT_EQ(spec.name.find(mark) != std::string::npos, spec.layer.has_value()) << spec.name;
    EXPECT_EQ(spec.name.find(".layer.") != std::string::npos, spec.layer.has_value()) << spec.name;
    EXPECT_NE(spec.role, Role::kNone) << spec.name;
    of_layers += spec.layer ? 1 : 0;
  }
  EXPECT_EQ(of_layers, 12U * 20);
}

}  // namespace
}  // namespace meshfold::models
