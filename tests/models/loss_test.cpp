#include "models/losses/loss.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "models/files/safetensors.hpp"

namespace meshfold::models {
namespace {

constexpr std::int64_t kRows = 13, kOutputs = 5;

const std::vector<double> kClassWeights = {0.5, 2.0, 1.0, 0.0, 3.0};
const std::vector<double> kPositiveWeight = {1.0, 0.25, 4.0, 2.0, 0.5};
const std::vector<double> kTargetWeights = {1.0, 2.0, 0.5, 0.0, 1.5};

struct Case {
  const char* name;  ///< in loss_oracle.py, where the weights are too
  const char* targets;
  LossConfig config;
};

struct Result {
  at::Tensor value, gradient;
};

Result evaluate(const Loss& loss, const at::Tensor& outputs, const at::Tensor& targets, const StepTotals& totals) {
  const at::Tensor leaf = outputs.detach().clone().set_requires_grad(true);
  const at::Tensor value = loss(leaf, targets, totals);
  value.backward();
  return {value.detach(), leaf.grad()};
}

class LossAgainstTorch : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    const char* oracles = std::getenv("MESHFOLD_ORACLES");
    ASSERT_NE(oracles, nullptr);
    const auto file = SafetensorsFile::open(std::filesystem::path(oracles) / "loss" / "losses.safetensors");
    const std::string name = GetParam().name;
    outputs_ = file.tensor("outputs").clone();
    targets_ = file.tensor(GetParam().targets).clone();
    value_ = file.tensor("loss." + name).item<double>();
    gradient_ = file.tensor("gradient." + name).clone();
    loss_ = make_loss(GetParam().config, kOutputs);
  }

  void expect_torch(const at::Tensor& value, const at::Tensor& gradient) const {
    EXPECT_NEAR(value.item<double>(), value_, 2e-6 * value_);
    EXPECT_LE((gradient - gradient_).norm().item<double>(), 2e-6 * gradient_.norm().item<double>());
  }

  /// As the trainer does: the statistics of all packs first, then each pack with the totals of the step.
  Result in_packs(const std::vector<std::int64_t>& sizes) const {
    StepTotals totals{loss_->denominator(targets_), std::vector<double>(loss_->num_statistics(), 0.0)};
    std::int64_t first = 0;
    for (const std::int64_t rows : sizes) {
      const auto sums = loss_->statistics(outputs_.narrow(0, first, rows), targets_.narrow(0, first, rows));
      for (std::size_t k = 0; k < sums.size(); ++k) totals.statistics[k] += sums[k];
      first += rows;
    }
    EXPECT_EQ(first, kRows);
    at::Tensor value = at::zeros({});
    std::vector<at::Tensor> gradients;
    first = 0;
    for (const std::int64_t rows : sizes) {
      const Result pack = evaluate(*loss_, outputs_.narrow(0, first, rows), targets_.narrow(0, first, rows), totals);
      EXPECT_EQ(pack.value.dim(), 0);
      EXPECT_EQ(pack.value.scalar_type(), at::kFloat);
      value = value + pack.value;
      gradients.push_back(pack.gradient);
      first += rows;
    }
    return {value, at::cat(gradients)};
  }

  at::Tensor outputs_, targets_, gradient_;
  double value_ = 0.0;
  std::unique_ptr<Loss> loss_;
};

TEST_P(LossAgainstTorch, GivesTheSameValueAndGradientInOnePack) {
  const auto [value, gradient] = in_packs({kRows});

  expect_torch(value, gradient);
}

TEST_P(LossAgainstTorch, AddsUpToTheSameValueAndGradientInSeveralPacks) {
  for (const auto& sizes : {std::vector<std::int64_t>{7, 6}, {4, 1, 0, 8}}) {
    const auto [value, gradient] = in_packs(sizes);

    expect_torch(value, gradient);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Losses, LossAgainstTorch,
    testing::Values(
        Case{"mse", "values", {.kind = LossKind::kMeanSquaredError}},
        Case{"mae", "values", {.kind = LossKind::kMeanAbsoluteError}},
        Case{"smooth_l1", "values", {.kind = LossKind::kSmoothL1}},
        Case{"smooth_l1_narrow", "values", {.kind = LossKind::kSmoothL1, .beta = 0.5}},
        Case{"rmse_elementwise", "values", {.kind = LossKind::kElementwiseRmse}},
        Case{"rmse", "values", {.kind = LossKind::kRmse}}, Case{"mcrmse", "values", {.kind = LossKind::kMcrmse}},
        Case{"mse_weighted", "values", {.kind = LossKind::kMeanSquaredError, .target_weights = kTargetWeights}},
        Case{"mae_weighted", "values", {.kind = LossKind::kMeanAbsoluteError, .target_weights = kTargetWeights}},
        Case{"rmse_weighted", "values", {.kind = LossKind::kRmse, .target_weights = kTargetWeights}},
        Case{"mcrmse_weighted", "values", {.kind = LossKind::kMcrmse, .target_weights = kTargetWeights}},
        Case{"cross_entropy", "classes", {.kind = LossKind::kCrossEntropy}},
        Case{"cross_entropy_smoothed", "classes", {.kind = LossKind::kCrossEntropy, .label_smoothing = 0.1}},
        Case{"cross_entropy_weighted", "classes", {.kind = LossKind::kCrossEntropy, .class_weights = kClassWeights}},
        Case{"cross_entropy_weighted_smoothed",
             "classes",
             {.kind = LossKind::kCrossEntropy, .label_smoothing = 0.2, .class_weights = kClassWeights}},
        Case{"soft_cross_entropy", "shares", {.kind = LossKind::kCrossEntropy}},
        Case{"soft_cross_entropy_weighted_smoothed",
             "shares",
             {.kind = LossKind::kCrossEntropy, .label_smoothing = 0.2, .class_weights = kClassWeights}},
        Case{"bce", "labels", {.kind = LossKind::kBinaryCrossEntropy}},
        Case{"bce_soft", "probabilities", {.kind = LossKind::kBinaryCrossEntropy}},
        Case{"bce_weighted",
             "probabilities",
             {.kind = LossKind::kBinaryCrossEntropy, .positive_weight = kPositiveWeight}}),
    [](const testing::TestParamInfo<Case>& entry) { return std::string(entry.param.name); });

TEST(Loss, OfACoupledStepWithoutAnyErrorIsZeroWithoutGradient) {
  for (const LossKind kind : {LossKind::kRmse, LossKind::kMcrmse}) {
    const auto loss = make_loss({.kind = kind}, 2);
    const at::Tensor same = at::ones({3, 2});

    const auto [value, gradient] = evaluate(*loss, same, same, {loss->denominator(same), loss->statistics(same, same)});

    EXPECT_EQ(value.item<float>(), 0.0F);
    EXPECT_EQ(gradient.abs().max().item<float>(), 0.0F);
  }
}

TEST(Loss, RefusesWhatHasNoMeaning) {
  const auto mse = make_loss({}, 3), entropy = make_loss({.kind = LossKind::kCrossEntropy}, 3),
             rmse = make_loss({.kind = LossKind::kRmse}, 3),
             bce = make_loss({.kind = LossKind::kBinaryCrossEntropy}, 3);
  const at::Tensor outputs = at::zeros({2, 3});
  const StepTotals two{2.0, {}};

  EXPECT_THROW((*mse)(outputs, at::zeros({2, 1}), two), std::invalid_argument) << "targets would be broadcast";
  EXPECT_THROW((*mse)(outputs, outputs, {}), std::invalid_argument);
  EXPECT_THROW((*rmse)(outputs, outputs, two), std::invalid_argument) << "without statistics";
  EXPECT_THROW((*entropy)(outputs, at::full({2, 1}, 3.0), two), std::invalid_argument);
  EXPECT_THROW((*entropy)(outputs, at::full({2, 1}, -1.0), two), std::invalid_argument);
  EXPECT_THROW((*entropy)(outputs, at::zeros({2}), two), std::invalid_argument);
  EXPECT_THROW((*entropy)(outputs, at::zeros({2, 2}), two), std::invalid_argument);
  EXPECT_THROW((*bce)(outputs, at::full({2, 3}, 1.5), two), std::invalid_argument);
  EXPECT_THROW(make_loss({.kind = LossKind::kCrossEntropy, .label_smoothing = 1.0}, 3), std::invalid_argument);
  EXPECT_THROW(make_loss({.kind = LossKind::kCrossEntropy}, 1), std::invalid_argument);
  EXPECT_THROW(make_loss({.kind = LossKind::kSmoothL1, .beta = 0.0}, 3), std::invalid_argument);
  EXPECT_THROW(make_loss({.kind = LossKind::kCrossEntropy, .class_weights = {1.0, 2.0}}, 3), std::invalid_argument);
  EXPECT_THROW(make_loss({.kind = LossKind::kMcrmse, .target_weights = {1.0, -2.0, 1.0}}, 3), std::invalid_argument);
  EXPECT_THROW(make_loss({.kind = LossKind::kMcrmse, .target_weights = {0.0, 0.0, 0.0}}, 3), std::invalid_argument);
}

}  // namespace
}  // namespace meshfold::models
