#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>

#include "models/context/dropout.hpp"
#include "models/directory/directory_head.hpp"
#include "models/directory/export_model.hpp"
#include "models/directory/load_model.hpp"
#include "models/error.hpp"
#include "models/networks/model.hpp"
#include "models/ops/pooling.hpp"
#include "models/parameters/parameter_initialization.hpp"
#include "tests/models/transformers_reference.hpp"

namespace meshfold::models {
namespace {

namespace fs = std::filesystem;

struct Case {
  std::string name;
  HeadConfig head;
};

HeadConfig head_of(Pooling pooling) {
  HeadConfig head;
  head.pooling = pooling;
  head.labels = {"a", "b", "c"};
  head.dropout = 0.0;
  return head;
}

std::vector<Case> cases() {
  HeadConfig weighted_cls = head_of(Pooling::kWeightedLayers), weighted_mean = weighted_cls,
             concatenated = head_of(Pooling::kConcatCls);
  weighted_mean.first_state = 0;
  weighted_mean.layer_pooling = Pooling::kMean;
  concatenated.num_layers = 3;
  return {{"max", head_of(Pooling::kMax)},   {"min", head_of(Pooling::kMin)},
          {"last", head_of(Pooling::kLast)}, {"attention", head_of(Pooling::kAttention)},
          {"weighted_cls", weighted_cls},    {"weighted_mean", weighted_mean},
          {"concat_cls", concatenated}};
}

fs::path directory() { return TransformersReference::directory("heads"); }

std::unique_ptr<Model> load(const HeadConfig& head, at::ScalarType type, const DropoutOverrides& dropout = {0.0, 0.0}) {
  LoadOptions options;
  options.head = head;
  options.compute_type = type;
  options.dropout = dropout;
  options.seed = 3;
  return load_model(directory() / "model", options).model;
}

/// With the head's weights of the reference.
std::unique_ptr<Model> load_like(const TransformersReference& reference, const HeadConfig& head, at::ScalarType type) {
  auto model = load(head, type);
  for (const Parameter& parameter : model->parameters()) {
    if (parameter.spec.name.starts_with("bert.")) continue;
    at::Tensor(parameter.view.value).copy_(reference.tensor(parameter.spec.name));
  }
  model->parameters().refresh_compute_copies();
  return model;
}

class Heads : public ::testing::TestWithParam<Case> {
 protected:
  TransformersReference reference() const {
    return TransformersReference(directory() / (GetParam().name + ".safetensors"));
  }
};

TEST_P(Heads, GiveThePaddedReferencesLogitsAndEveryGradient) {
  reference().expect_equal_step(*load_like(reference(), GetParam().head, at::kFloat));
}

TEST_P(Heads, StayCloseInBf16) {
  const at::Tensor logits = load_like(reference(), GetParam().head, at::kBFloat16)->forward(reference().input(), {});

  const double error = relative_error(logits, reference().tensor("logits"));
  RecordProperty("relative_error", std::to_string(error));
  EXPECT_LE(error, 0.05);
  EXPECT_GT(error, 0.0);
}

TEST_P(Heads, DoNotDependOnThePacking) {
  HeadConfig head = GetParam().head;
  head.dropout = 0.3;
  head.dropout_samples = 3;
  const auto model = load(head, at::kFloat, {0.2, 0.2});
  for (const Parameter& parameter : model->parameters()) initialize_parameter(parameter, 5, 0.3);

  expect_packing_changes_nothing(*model, reference().input());
  expect_empty_pack_runs(*model, 3);
}

TEST_P(Heads, LoadTheirExportBackWithTheSameBits) {
  const auto first = load_like(reference(), GetParam().head, at::kFloat);
  const fs::path target = directory() / "exported" / GetParam().name;
  fs::remove_all(target);
  export_model(*first, directory() / "model", target);

  const LoadedModel second = load_model(target, {});

  EXPECT_EQ(first->parameters().hash(), second.model->parameters().hash());
  EXPECT_TRUE(second.report.initialized.empty() && second.report.left_out.empty());
  EXPECT_TRUE(same_pooling(second.model->head(), GetParam().head));
  EXPECT_TRUE(at::equal(first->forward(reference().input(), {}), second.model->forward(reference().input(), {})));
}

INSTANTIATE_TEST_SUITE_P(Kinds, Heads, ::testing::ValuesIn(cases()),
                         [](const auto& entry) { return entry.param.name; });

TEST(ExportedHeads, LeaveTheirLogitsForTheReferenceLoader) {
  std::vector<std::pair<std::string, at::Tensor>> logits;
  std::vector<Case> all = cases();
  all.push_back({"mean", head_of(Pooling::kMean)});
  for (const auto& [name, head] : all) {
    const TransformersReference reference(directory() / ((name == "mean" ? "last" : name) + ".safetensors"));
    const auto model = load_like(reference, head, at::kFloat);
    const fs::path target = directory() / "exported" / name;
    fs::remove_all(target);
    export_model(*model, directory() / "model", target);
    logits.emplace_back(name, model->forward(reference.input(), {}).contiguous());
  }
  write_safetensors(directory() / "exported_logits.safetensors", logits, {});
}

TEST(HeadFiles, TakeAClassifierOnlyWithThePoolingThatItWasTrainedOn) {
  const fs::path target = fs::path(::testing::TempDir()) / "meshfold_weighted_head";
  fs::remove_all(target);
  HeadConfig head = head_of(Pooling::kWeightedLayers);
  export_model(*load(head, at::kFloat), directory() / "model", target);
  LoadOptions options;
  options.head = head;

  EXPECT_TRUE(load_model(target, options).report.initialized.empty());
  options.head->layer_pooling = Pooling::kMean;
  const LoadReport other = load_model(target, options).report;
  EXPECT_EQ(other.initialized,
            (std::vector<std::string>{"pooling.layer_weights", "classifier.weight", "classifier.bias"}));
  EXPECT_EQ(other.left_out,
            (std::vector<std::string>{"classifier.bias", "classifier.weight", "pooling.layer_weights"}));
}

TEST(HeadFiles, RefuseLayersThatTheBackboneDoesNotHave) {
  HeadConfig weighted = head_of(Pooling::kWeightedLayers), concatenated = head_of(Pooling::kConcatCls);
  weighted.first_state = 6;
  concatenated.num_layers = 7;
  for (const auto& [head, key] :
       {std::pair{weighted, "model.pooling_first_layer"}, {concatenated, "model.pooling_layers"}}) {
    try {
      load(head, at::kFloat);
      FAIL() << "loaded";
    } catch (const ModelFileError& error) {
      EXPECT_NE(std::string(error.what()).find(key), std::string::npos) << error.what();
    }
  }
}

PackedInput two_texts() { return pack_of(at::zeros({5}, at::kLong), at::zeros({5}, at::kLong), {3, 2}); }

TEST(PoolExtreme, TakesTheLowestPositionAmongEqualValues) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const at::Tensor hidden = at::tensor({2.0F, -1.0F, 7.0F,  //
                                        2.0F, -5.0F, nan,   //
                                        1.0F, -5.0F, 9.0F,  //
                                        0.0F, -0.0F, 3.0F,  //
                                        -0.0F, 0.0F, 3.0F})
                                .view({5, 3})
                                .requires_grad_(true);

  const at::Tensor largest = ops::pool_extreme(hidden, two_texts(), ops::Extreme::kLargest);
  largest.nan_to_num(0.0).backward(at::ones({2, 3}));
  const at::Tensor of_largest = hidden.grad().clone();
  hidden.mutable_grad().zero_();
  const at::Tensor smallest = ops::pool_extreme(hidden, two_texts(), ops::Extreme::kSmallest);
  smallest.nan_to_num(0.0).backward(at::ones({2, 3}));

  EXPECT_TRUE(at::equal(largest.nan_to_num(77.0), at::tensor({2.0F, -1.0F, 77.0F, 0.0F, 0.0F, 3.0F}).view({2, 3})));
  EXPECT_TRUE(at::equal(smallest.nan_to_num(77.0), at::tensor({1.0F, -5.0F, 77.0F, 0.0F, 0.0F, 3.0F}).view({2, 3})));
  EXPECT_TRUE(at::equal(of_largest, at::tensor({1.0F, 1.0F, 0.0F,  //
                                                0.0F, 0.0F, 0.0F,  //
                                                0.0F, 0.0F, 0.0F,  //
                                                1.0F, 1.0F, 1.0F,  //
                                                0.0F, 0.0F, 0.0F})
                                        .view({5, 3})));
  EXPECT_TRUE(at::equal(hidden.grad(), at::tensor({0.0F, 0.0F, 0.0F,  //
                                                   0.0F, 1.0F, 0.0F,  //
                                                   1.0F, 0.0F, 0.0F,  //
                                                   1.0F, 1.0F, 1.0F,  //
                                                   0.0F, 0.0F, 0.0F})
                                           .view({5, 3})));
}

TEST(PoolExtreme, RefusesATextWithoutTokens) {
  const PackedInput input = pack_of(at::zeros({1}, at::kLong), at::zeros({1}, at::kLong), {1, 0});
  EXPECT_THROW(ops::pool_extreme(at::ones({1, 4}), input, ops::Extreme::kLargest), std::invalid_argument);
  EXPECT_THROW(ops::pool_last(at::ones({1, 4}), input), std::invalid_argument);
  EXPECT_THROW(ops::pool_softmax(at::ones({1, 4}), at::ones({1, 1}), input), std::invalid_argument);
}

/// The multipliers of one dropout sample, drawn one by one.
at::Tensor multipliers(std::uint16_t site, double probability, std::int64_t width, const PackedInput& input,
                       const ForwardContext& context) {
  const auto rows = ops::RowDropout::over_inputs({probability, site}, input, context);
  const at::Tensor out = at::empty({input.num_inputs(), ops::Dropout::padded_width(width)});
  for (std::int64_t s = 0; s < input.num_inputs(); ++s) {
    rows.fill_row(s, width, out.mutable_data_ptr<float>() + s * out.size(1));
  }
  return out.narrow(1, 0, width);
}

TEST(MultiSampleDropout, GivesTheMeanOfTheOutputsOfItsSamples) {
  HeadConfig head = head_of(Pooling::kLast);
  head.dropout = 0.4;
  head.dropout_samples = 4;
  const auto model = load(head, at::kFloat);
  const TransformersReference reference(directory() / "last.safetensors");
  const PackedInput input = reference.input();
  GradientAccumulator gradients(model->parameters(), Summation::kInOrder);
  const ForwardContext training{Mode::kTraining, {11, 5, 0}, &gradients};

  gradients.begin_step();
  gradients.begin_pack();
  const at::Tensor outputs = model->forward(input, training);
  outputs.sum().backward();
  gradients.end_pack();
  const at::Tensor flat = gradients.sum_packs();

  const at::Tensor weight = model->parameters().view("classifier.weight").value,
                   bias = model->parameters().view("classifier.bias").value;
  HeadConfig identity = head_of(Pooling::kLast);
  identity.labels.clear();
  for (std::int64_t i = 0; i < weight.size(1); ++i) identity.labels.push_back(std::to_string(i));
  const auto backbone = load(identity, at::kFloat);  // whose outputs are the pooled vectors
  at::Tensor(backbone->parameters().view("classifier.weight").value).copy_(at::eye(weight.size(1)));
  at::Tensor(backbone->parameters().view("classifier.bias").value).zero_();
  backbone->parameters().refresh_compute_copies();
  const at::Tensor pooled = backbone->forward(input, {});
  at::Tensor expected = at::zeros_like(outputs), mean_row = at::zeros({weight.size(1)});
  for (const std::uint16_t site : {0, 2, 3, 4}) {
    const at::Tensor dropped = pooled * multipliers(site, 0.4, weight.size(1), input, training);
    expected += (dropped.matmul(weight.t()) + bias) / 4;
    mean_row += dropped.sum(0) / 4;
  }
  EXPECT_LE((outputs - expected).abs().max().item<double>(), 1e-5);
  EXPECT_GT((outputs - (pooled.matmul(weight.t()) + bias)).abs().max().item<double>(), 1e-3) << "dropout did nothing";
  const ParameterView view = model->parameters().view("classifier.weight");
  const at::Tensor gradient = flat.narrow(0, view.offset, weight.numel()).view_as(weight);
  EXPECT_LE((gradient - mean_row.unsqueeze(0)).abs().max().item<double>(), 1e-4);
  EXPECT_TRUE(at::equal(model->forward(input, {}), load(head_of(Pooling::kLast), at::kFloat)->forward(input, {})))
      << "no dropout in evaluation";
}

}  // namespace
}  // namespace meshfold::models
