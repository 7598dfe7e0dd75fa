#include "models/parameters/layer_rates.hpp"
#include "models/directory/load_model.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>

#include "models/error.hpp"
#include "models/networks/model.hpp"
#include "tests/models/transformers_reference.hpp"

namespace meshfold::models {
namespace {

namespace fs = std::filesystem;

/// A BERT of five layers that heads_oracle.py wrote.
fs::path model_directory() { return TransformersReference::directory("heads") / "model"; }

LoadOptions options_of(const LayerRates& rates) {
  LoadOptions options;
  options.head = HeadConfig{};
  options.head->labels = {"a", "b"};
  options.head->dropout = 0.2;
  options.dropout = {.hidden = 0.2, .attention = 0.2};
  options.seed = 3;
  options.rates = rates;
  return options;
}

/// The layer that BERT's names state ("bert.encoder.layer.3.output.dense.bias": 3); none for embeddings and head.
std::optional<std::int64_t> layer_of(std::string_view name) {
  constexpr std::string_view kMark = ".layer.";
  const std::size_t mark = name.find(kMark);
  if (mark == std::string_view::npos) return std::nullopt;
  const std::string_view rest = name.substr(mark + kMark.size());
  std::int64_t layer = -1;
  std::from_chars(rest.data(), rest.data() + rest.size(), layer);
  return layer;
}

PackedInput some_input() { return pack_of(at::arange(1, 31, at::kLong), at::zeros({30}, at::kLong), {11, 1, 18}); }

/// The gradient of a step with dropout, [num_elements].
at::Tensor gradient_of(Model& model) {
  GradientAccumulator gradients(model.parameters(), Summation::kInOrder);
  gradients.begin_step();
  gradients.begin_pack();
  model.forward(some_input(), {Mode::kTraining, {11, 5, 0}, &gradients}).square().sum().backward();
  gradients.end_pack();
  return gradients.sum_packs().clone();
}

/// Remembers which parameters got a gradient, by offset.
class Spy final : public GradientSink {
 public:
  void add_product(const ParameterView& weight, const at::Tensor&, const at::Tensor&) override { note(weight); }
  void add(const ParameterView& parameter, const at::Tensor&) override { note(parameter); }
  void add_rows(const ParameterView& table, const at::Tensor&, const at::Tensor&) override { note(table); }
  bool saw(const Parameter& parameter) const {
    return std::ranges::any_of(spans_, [&](const auto& span) {
      return span.first <= parameter.view.offset && parameter.view.offset < span.second;
    });
  }

 private:
  void note(const ParameterView& view) { spans_.emplace_back(view.offset, view.offset + view.value.numel()); }
  std::vector<std::pair<std::int64_t, std::int64_t>> spans_;
};

TEST(LayerRates, FallFromTheHeadToTheEmbeddings) {
  const auto model = load_model(model_directory(), options_of({.decay = 0.5})).model;

  for (const Parameter& parameter : model->parameters()) {
    const std::string& name = parameter.spec.name;
    const auto layer = layer_of(name);
    double expected = 1.0;  // classifier and pooler
    if (layer) expected = std::pow(0.5, static_cast<double>(5 - *layer));
    if (name.starts_with("bert.embeddings.")) expected = std::pow(0.5, 6.0);
    EXPECT_DOUBLE_EQ(parameter.spec.rate, expected) << name;
  }
}

struct Frozen {
  LayerRates rates;
  const char* name;
};

class FrozenLayers : public ::testing::TestWithParam<Frozen> {
 protected:
  bool is_frozen(const std::string& name) const {
    const auto layer = layer_of(name);
    return layer ? *layer < GetParam().rates.freeze_lower_layers
                 : name.starts_with("bert.embeddings.") && GetParam().rates.freeze_embeddings;
  }
};

TEST_P(FrozenLayers, GetNoGradientAndChangeNoOtherBit) {
  const auto model = load_model(model_directory(), options_of(GetParam().rates)).model;
  const auto whole = load_model(model_directory(), options_of({})).model;

  const at::Tensor some = gradient_of(*model), all = gradient_of(*whole);

  for (const Parameter& parameter : model->parameters()) {
    const auto piece = [&](const at::Tensor& flat) {
      return flat.narrow(0, parameter.view.offset, parameter.num_elements);
    };
    const at::Tensor expected = is_frozen(parameter.spec.name) ? at::zeros({parameter.num_elements}) : piece(all);
    EXPECT_TRUE(at::equal(piece(some), expected)) << parameter.spec.name;
    EXPECT_EQ(parameter.spec.rate == 0.0, is_frozen(parameter.spec.name)) << parameter.spec.name;
  }
  EXPECT_GT(some.norm().item<double>(), 0.0);
}

TEST_P(FrozenLayers, EndBackwardAboveThem) {
  const auto model = load_model(model_directory(), options_of(GetParam().rates)).model;
  Spy spy;

  model->forward(some_input(), {Mode::kTraining, {11, 5, 0}, &spy}).sum().backward();

  for (const Parameter& parameter : model->parameters()) {
    // Without frozen embeddings backward goes all the way down, and the accumulator drops what is frozen.
    const bool ended = GetParam().rates.freeze_embeddings && is_frozen(parameter.spec.name);
    EXPECT_EQ(spy.saw(parameter), !ended) << parameter.spec.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Parts, FrozenLayers,
                         ::testing::Values(Frozen{{.freeze_embeddings = true}, "embeddings"},
                                           Frozen{{.freeze_embeddings = true, .freeze_lower_layers = 2},
                                                  "embeddings_and_two_layers"},
                                           Frozen{{.freeze_lower_layers = 2}, "two_layers"},
                                           Frozen{{.freeze_embeddings = true, .freeze_lower_layers = 5}, "backbone"}),
                         [](const auto& entry) { return entry.param.name; });

TEST(ReinitialisedLayers, AreDrawnFromTheSeedAndTheOthersAreRead) {
  LoadOptions options = options_of({});
  const auto read = load_model(model_directory(), options).model;
  options.reinit_layers = 2;
  const LoadedModel first = load_model(model_directory(), options), again = load_model(model_directory(), options);
  options.seed = 4;
  const auto other_seed = load_model(model_directory(), options).model;

  EXPECT_EQ(first.model->parameters().hash(), again.model->parameters().hash());
  const std::string matrix = "bert.encoder.layer.4.intermediate.dense.weight";
  EXPECT_FALSE(at::equal(first.model->parameters().view(matrix).value, other_seed->parameters().view(matrix).value));
  EXPECT_NEAR(first.model->parameters().view(matrix).value.std().item<double>(), 0.02, 0.002);
  std::size_t redrawn = 0;
  for (const Parameter& parameter : first.model->parameters()) {
    const at::Tensor value = parameter.view.value;
    const auto layer = layer_of(parameter.spec.name);
    if (!layer || *layer < 3) {
      EXPECT_TRUE(at::equal(value, read->parameters().view(parameter.spec.name).value)) << parameter.spec.name;
      continue;
    }
    ++redrawn;
    EXPECT_EQ(std::ranges::count(first.report.initialized, parameter.spec.name), 1) << parameter.spec.name;
    if (parameter.spec.name.ends_with("LayerNorm.weight")) {
      EXPECT_TRUE(value.eq(1.0).all().item<bool>()) << parameter.spec.name;
    } else if (parameter.spec.name.ends_with("bias")) {
      EXPECT_TRUE(value.eq(0.0).all().item<bool>()) << parameter.spec.name;
    }
  }
  EXPECT_EQ(redrawn, 2U * 16U);
}

TEST(ReinitialisedLayers, AreNotFrozenOnes) {
  LoadOptions options = options_of({.freeze_lower_layers = 3});
  options.reinit_layers = 3;
  try {
    load_model(model_directory(), options);
    FAIL() << "loaded";
  } catch (const ModelFileError& error) {
    EXPECT_NE(std::string(error.what()).find("freeze.lower_layers = 3 and model.reinit_layers = 3"), std::string::npos);
  }
}

}  // namespace
}  // namespace meshfold::models
