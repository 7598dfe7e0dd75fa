#include "jobs/train/metrics.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "tests/jobs/reference.hpp"

namespace meshfold::jobs {
namespace {

at::Tensor matrix(const nlohmann::json& rows) {
  const auto values = rows.get<std::vector<std::vector<float>>>();
  at::Tensor tensor =
      at::empty({static_cast<std::int64_t>(values.size()), static_cast<std::int64_t>(values[0].size())});
  auto* out = tensor.mutable_data_ptr<float>();
  for (const std::vector<float>& row : values) out = std::ranges::copy(row, out).out;
  return tensor;
}

models::HeadConfig head(models::Task task, std::vector<std::string> labels) {
  models::HeadConfig config;
  config.task = task;
  config.labels = std::move(labels);
  return config;
}

TEST(Scores, OfRegressionEqualScikitLearn) {
  const nlohmann::json& reference = tests::training_reference()["scores"];

  const Scores scores = compute_scores(head(models::Task::kRegression, {"a", "b", "c", "d"}),
                                       matrix(reference["predicted"]), matrix(reference["wanted"]));

  ASSERT_EQ(scores.size(), 5U);
  EXPECT_EQ(scores[0].first, "mcrmse");
  EXPECT_NEAR(scores[0].second, reference["mcrmse"].get<double>(), 1e-9);
  for (std::size_t target = 0; target < 4; ++target) {
    EXPECT_EQ(scores[target + 1].first, std::string("rmse/") + "abcd"[target]);
    EXPECT_NEAR(scores[target + 1].second, reference["rmse"][target].get<double>(), 1e-9);
  }
}

TEST(Scores, OfClassificationEqualScikitLearn) {
  const nlohmann::json& reference = tests::training_reference()["scores"];
  const auto labels = reference["labels"].get<std::vector<float>>();
  const at::Tensor targets = at::tensor(labels).unsqueeze(1);

  const Scores scores = compute_scores(head(models::Task::kClassification, {"a", "b", "c", "d", "e"}),
                                       matrix(reference["logits"]), targets);

  ASSERT_EQ(scores.size(), 2U);
  EXPECT_EQ(scores[0].first, "log_loss");
  EXPECT_NEAR(scores[0].second, reference["log_loss"].get<double>(), 1e-9);
  EXPECT_EQ(scores[1].first, "accuracy");
  EXPECT_NEAR(scores[1].second, reference["accuracy"].get<double>(), 1e-9);
}

TEST(Scores, OfHugeLogitsStayFinite) {
  const Scores scores = compute_scores(head(models::Task::kClassification, {"a", "b"}),
                                       at::tensor({3e4F, -3e4F}).view({1, 2}), at::zeros({1, 1}));

  EXPECT_EQ(scores[0].second, 0.0);
}

TEST(Scores, RefuseAClassNumberThatTheHeadDoesNotHave) {
  EXPECT_THROW(
      compute_scores(head(models::Task::kClassification, {"a", "b"}), at::zeros({1, 2}), at::full({1, 1}, 2.0F)),
      std::invalid_argument);
}

TEST(Scores, RefuseNoRows) {
  EXPECT_THROW(compute_scores(head(models::Task::kRegression, {"a"}), at::zeros({0, 1}), at::zeros({0, 1})),
               std::invalid_argument);
}

TEST(Scores, ThatSelectAreErrorsSoSmallerIsBetter) {
  EXPECT_FALSE(larger_is_better(head(models::Task::kRegression, {"a"})));
  EXPECT_FALSE(larger_is_better(head(models::Task::kClassification, {"a"})));
}

}  // namespace
}  // namespace meshfold::jobs
