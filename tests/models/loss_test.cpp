#include "models/loss.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "models/safetensors.hpp"

namespace meshfold::models {
namespace {

constexpr std::int64_t kRows = 13, kOutputs = 5;

struct Case {
  const char* name;  ///< in loss_oracle.py
  LossConfig config;
};

struct Result {
  at::Tensor value, gradient;
};

Result evaluate(const Loss& loss, const at::Tensor& outputs, const at::Tensor& targets, double denominator) {
  const at::Tensor leaf = outputs.detach().clone().set_requires_grad(true);
  const at::Tensor value = loss(leaf, targets, denominator);
  value.backward();
  return {value.detach(), leaf.grad()};
}

class LossAgainstTorch : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    const char* oracles = std::getenv("MESHFOLD_ORACLES");
    ASSERT_NE(oracles, nullptr);
    const auto file = SafetensorsFile::open(std::filesystem::path(oracles) / "loss" / "losses.safetensors");
    const bool classes = GetParam().config.kind == LossKind::kCrossEntropy;
    const std::string name = GetParam().name;
    outputs_ = file.tensor("outputs").clone();
    targets_ = file.tensor(classes ? "classes" : "values").clone();
    value_ = file.tensor("loss." + name).item<double>();
    gradient_ = file.tensor("gradient." + name).clone();
    loss_ = make_loss(GetParam().config, kOutputs);
  }

  void expect_torch(const at::Tensor& value, const at::Tensor& gradient) const {
    EXPECT_NEAR(value.item<double>(), value_, 2e-6 * value_);
    EXPECT_LE((gradient - gradient_).norm().item<double>(), 2e-6 * gradient_.norm().item<double>());
  }

  at::Tensor outputs_, targets_, gradient_;
  double value_ = 0.0;
  std::unique_ptr<Loss> loss_;
};

TEST_P(LossAgainstTorch, GivesTheSameValueAndGradient) {
  const auto [value, gradient] = evaluate(*loss_, outputs_, targets_, loss_->denominator(kRows));

  EXPECT_EQ(value.dim(), 0);
  EXPECT_EQ(value.scalar_type(), at::kFloat);
  expect_torch(value, gradient);
}

TEST_P(LossAgainstTorch, AddsUpOverPacksWithTheDenominatorOfTheStep) {
  const double denominator = loss_->denominator(kRows);
  at::Tensor value = at::zeros({});
  std::vector<at::Tensor> gradients;
  std::int64_t first = 0;
  for (const std::int64_t rows : {4, 1, 0, 8}) {
    const Result pack = evaluate(*loss_, outputs_.narrow(0, first, rows), targets_.narrow(0, first, rows), denominator);
    value = value + pack.value;
    gradients.push_back(pack.gradient);
    first += rows;
  }

  ASSERT_EQ(first, kRows);
  expect_torch(value, at::cat(gradients));
}

TEST_P(LossAgainstTorch, IsZeroWithoutRows) {
  const auto [value, gradient] =
      evaluate(*loss_, outputs_.narrow(0, 0, 0), targets_.narrow(0, 0, 0), loss_->denominator(kRows));

  EXPECT_EQ(value.item<float>(), 0.0F);
  EXPECT_EQ(gradient.sizes(), (at::IntArrayRef{0, kOutputs}));
}

INSTANTIATE_TEST_SUITE_P(
    Losses, LossAgainstTorch,
    testing::Values(Case{"mse", {.kind = LossKind::kMeanSquaredError}},
                    Case{"smooth_l1", {.kind = LossKind::kSmoothL1}},
                    Case{"smooth_l1_narrow", {.kind = LossKind::kSmoothL1, .label_smoothing = 0.0, .beta = 0.5}},
                    Case{"cross_entropy", {.kind = LossKind::kCrossEntropy}},
                    Case{"cross_entropy_smoothed", {.kind = LossKind::kCrossEntropy, .label_smoothing = 0.1}}),
    [](const testing::TestParamInfo<Case>& entry) { return std::string(entry.param.name); });

TEST(Loss, RefusesWhatHasNoMeaning) {
  const auto mse = make_loss({}, kOutputs), entropy = make_loss({.kind = LossKind::kCrossEntropy}, 3);
  const at::Tensor outputs = at::zeros({2, 3});

  EXPECT_THROW((*mse)(outputs, at::zeros({2, 1}), 1.0), std::invalid_argument) << "targets would be broadcast";
  EXPECT_THROW((*mse)(outputs, outputs, 0.0), std::invalid_argument);
  EXPECT_THROW((*entropy)(outputs, at::full({2, 1}, 3.0), 2.0), std::invalid_argument);
  EXPECT_THROW((*entropy)(outputs, at::full({2, 1}, -1.0), 2.0), std::invalid_argument);
  EXPECT_THROW((*entropy)(outputs, at::zeros({2}), 2.0), std::invalid_argument);
  EXPECT_THROW(make_loss({.kind = LossKind::kCrossEntropy, .label_smoothing = 1.0}, 3), std::invalid_argument);
  EXPECT_THROW(make_loss({.kind = LossKind::kCrossEntropy}, 1), std::invalid_argument);
  EXPECT_THROW(make_loss({.kind = LossKind::kSmoothL1, .label_smoothing = 0.0, .beta = 0.0}, 3), std::invalid_argument);
}

}  // namespace
}  // namespace meshfold::models
