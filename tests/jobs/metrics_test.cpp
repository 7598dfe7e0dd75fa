#include "jobs/scores/metrics.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "jobs/scores/metric_kinds.hpp"
#include "jobs/scores/scores_json.hpp"
#include "tests/jobs/reference.hpp"

namespace meshfold::jobs {
namespace {

using models::Task;

at::Tensor matrix(const nlohmann::json& rows) {
  const auto values = rows.get<std::vector<std::vector<float>>>();
  at::Tensor tensor =
      at::empty({static_cast<std::int64_t>(values.size()), static_cast<std::int64_t>(values[0].size())});
  auto* out = tensor.mutable_data_ptr<float>();
  for (const std::vector<float>& row : values) out = std::ranges::copy(row, out).out;
  return tensor;
}

models::HeadConfig head(Task task, std::vector<std::string> labels) {
  models::HeadConfig config;
  config.task = task;
  config.labels = std::move(labels);
  return config;
}

models::HeadConfig head_of(const nlohmann::json& reference) {
  const std::map<std::string, Task> tasks = {
      {"regression", Task::kRegression}, {"classification", Task::kClassification}, {"multi_label", Task::kMultiLabel}};
  return head(tasks.at(reference["task"].get<std::string>()), reference["labels"].get<std::vector<std::string>>());
}

Scores scores_of(const nlohmann::json& reference) {
  const auto config = head_of(reference);
  return compute_scores(config, matrix(reference["predictions"]), matrix(reference["targets"]),
                        default_metric(config.task));
}

TEST(Scores, AreThoseOfScikitLearnAndScipyAlsoWithTiesAndWhereUndefined) {
  ASSERT_EQ(tests::reference("scores").size(), 19U);
  for (const nlohmann::json& reference : tests::reference("scores")) {
    const Scores scores = scores_of(reference);

    const auto name_of_case = reference["name"].get<std::string>();
    EXPECT_EQ(scores.size(), reference["scores"].size()) << name_of_case;
    for (const auto& [name, score] : scores) {
      ASSERT_TRUE(reference["scores"].contains(name)) << name_of_case << ": " << name;
      const nlohmann::json& wanted = reference["scores"][name];
      if (wanted.is_null()) {
        EXPECT_TRUE(std::isnan(score)) << name_of_case << ": " << name << " = " << score;
      } else {
        EXPECT_NEAR(score, wanted.get<double>(), 1e-9) << name_of_case << ": " << name;
      }
    }
  }
}

TEST(Scores, AreAllValidChoicesAndNoOthersAre) {
  for (const nlohmann::json& reference : tests::reference("scores")) {
    const auto config = head_of(reference);
    for (const auto& [name, score] : scores_of(reference)) {
      EXPECT_EQ(metric_fault(name, config.task, config.labels), "") << reference["name"] << ": " << name;
    }
  }
}

TEST(Scores, PutTheSelectingOneInFrontAndKeepTheOrderOfTheOthers) {
  const auto two = head(Task::kRegression, {"a", "b"});
  const at::Tensor predictions = at::tensor({1.0F, 2.0F, 4.0F, 3.0F}).view({2, 2}), targets = at::eye(2) / 2;

  const Scores plain = compute_scores(two, predictions, targets, "mcrmse");
  const Scores moved = compute_scores(two, predictions, targets, "pearson/b");

  EXPECT_EQ(plain[0].first, "mcrmse");
  EXPECT_EQ(moved[0].first, "pearson/b");
  EXPECT_EQ(moved[1], plain[0]);
  EXPECT_EQ(moved.size(), plain.size());
  EXPECT_EQ(headline(moved)[0].first, "pearson/b");
  EXPECT_EQ(headline(moved)[2].first, "rmse");
}

TEST(Scores, OfTargetsThatAreNoGradesHaveNoKappaUnlessItIsAskedFor) {
  const auto one = head(Task::kRegression, {"a"});
  const at::Tensor predictions = at::tensor({1.0F, 2.0F}).view({2, 1}), targets = predictions + 0.5;

  EXPECT_EQ(compute_scores(one, predictions, targets, "mae").back().first, "spearman");
  const Scores scores = compute_scores(one, predictions, targets, "qwk");
  EXPECT_EQ(scores.front().first, "qwk");
  EXPECT_TRUE(std::isnan(scores.front().second));
  EXPECT_THROW(compute_scores(one, predictions, targets, "qwq"), std::invalid_argument);
}

TEST(Scores, OfHugeLogitsStayFinite) {
  const Scores scores = compute_scores(head(Task::kClassification, {"a", "b"}), at::tensor({3e4F, -3e4F}).view({1, 2}),
                                       at::zeros({1, 1}), "log_loss");

  EXPECT_EQ(scores[0].second, 0.0);
}

TEST(Scores, RefuseAClassNumberThatTheHeadDoesNotHave) {
  EXPECT_THROW(
      compute_scores(head(Task::kClassification, {"a", "b"}), at::zeros({1, 2}), at::full({1, 1}, 2.0F), "log_loss"),
      std::invalid_argument);
}

TEST(Scores, RefuseNoRows) {
  EXPECT_THROW(compute_scores(head(Task::kRegression, {"a"}), at::zeros({0, 1}), at::zeros({0, 1}), "mcrmse"),
               std::invalid_argument);
}

TEST(Scores, AreKeptAsJsonInOrderWithNullForWhatIsUndefined) {
  const Scores scores = {{"f1", 0.1}, {"auc", std::numeric_limits<double>::quiet_NaN()}};
  const Scores read = scores_from_json(nlohmann::json::parse(scores_to_json(scores).dump()));

  ASSERT_EQ(read.size(), 2U);
  EXPECT_EQ(read[0], scores[0]);
  EXPECT_EQ(read[1].first, "auc");
  EXPECT_TRUE(std::isnan(read[1].second));
  EXPECT_EQ(scores_to_json(scores).dump(), R"([["f1",0.1],["auc",null]])");
}

TEST(MetricChoice, KnowsWhichWayIsBetterUnlessItIsTold) {
  EXPECT_EQ(MetricChoice{}.name_for(Task::kRegression), "mcrmse");
  EXPECT_EQ(MetricChoice{}.name_for(Task::kMultiLabel), "log_loss");
  EXPECT_EQ((MetricChoice{"rmse/a"}.better_for(Task::kRegression)), Better::kSmaller);
  EXPECT_EQ((MetricChoice{"spearman"}.better_for(Task::kRegression)), Better::kLarger);
  EXPECT_EQ((MetricChoice{"auc", MetricMode::kMin}.better_for(Task::kMultiLabel)), Better::kSmaller);
  EXPECT_EQ((MetricChoice{"", MetricMode::kMax}.better_for(Task::kRegression)), Better::kLarger);
}

TEST(MetricChoice, IsRefusedWithTheNearestNameThatFits) {
  const auto expect = [](const std::string& name, Task task, const std::vector<std::string>& labels,
                         const std::string& text) {
    EXPECT_NE(metric_fault(name, task, labels).find(text), std::string::npos) << metric_fault(name, task, labels);
  };
  expect("peerson", Task::kRegression, {"a"}, "did you mean 'pearson'?");
  expect("mcrmse", Task::kClassification, {"a", "b"}, "is no metric of this model.task");
  expect("rmse/share_negativ", Task::kRegression, {"share_negative", "b"}, "did you mean 'rmse/share_negative'?");
  expect("rmse/a", Task::kRegression, {"a"}, "take rmse");
  expect("mcrmse/a", Task::kRegression, {"a", "b"}, "take mcrmse");
  expect("auc/b", Task::kClassification, {"a", "b"}, "take auc");
  expect("f1", Task::kClassification, {"a", "b", "c"}, "is of two classes");
  expect("f1", Task::kMultiLabel, {}, "is of two classes");
  expect("qwk", Task::kClassification, {"good", "bad"}, "names are integers");
  EXPECT_EQ(metric_fault("f1", Task::kClassification, {}), "") << "the classes are not known yet";
}

}  // namespace
}  // namespace meshfold::jobs
