#include "jobs/report/diagnostics.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace meshfold::jobs {
namespace {

using models::Task;

HeldOut made(Task task, std::vector<std::string> targets, std::vector<std::string> labels, std::vector<float> truth,
             std::vector<float> predicted) {
  HeldOut held_out{task, std::move(targets), std::move(labels), {}, {}, std::move(truth), std::move(predicted)};
  held_out.ids.resize(held_out.predicted.size() / held_out.labels.size());
  held_out.folds.resize(held_out.ids.size());
  return held_out;
}

TEST(Diagnostics, ErrorsOfTargetsOnDifferentScalesCountAlike) {
  // Deviations 1 and 100; each row is off by one of them in one target.
  const auto held_out = made(Task::kRegression, {"a", "b"}, {"a", "b"}, {-1, -100, 1, 100}, {0, -100, 1, 0});

  const auto errors = row_errors(held_out);

  EXPECT_NEAR(errors[0], std::sqrt(0.5), 1e-6);
  EXPECT_NEAR(errors[1], std::sqrt(0.5), 1e-6);
}

TEST(Diagnostics, ATargetThatNeverVariesIsMeasuredInItsOwnUnits) {
  const auto errors = row_errors(made(Task::kRegression, {"a"}, {"a"}, {3, 3}, {3, 5}));

  EXPECT_EQ(errors, (std::vector<double>{0, 2}));
}

TEST(Diagnostics, WorstRowsComeWorstFirstAndOfEqualsTheEarlier) {
  const std::vector<double> errors = {1, 5, 2, 5, 0};

  EXPECT_EQ(worst_rows(errors, 3), (std::vector<std::size_t>{1, 3, 2}));
  EXPECT_EQ(worst_rows(errors, 9).size(), 5U);
}

TEST(Diagnostics, ConfusionsCountTruthByRowAndPredictionByColumn) {
  const auto held_out = made(Task::kClassification, {"class"}, {"x", "y", "z"}, {0, 0, 2},
                             {0.8F, 0.1F, 0.1F, 0.1F, 0.7F, 0.2F, 0.4F, 0.4F, 0.2F});

  EXPECT_EQ(confusion_matrix(held_out), (std::vector<std::uint64_t>{1, 1, 0, 0, 0, 0, 1, 0, 0}));
}

TEST(Diagnostics, CalibrationBinsHoldEquallyManyRowsInOrderOfPrediction) {
  const auto bins = calibration_by_rank(made(Task::kRegression, {"a"}, {"a"}, {4, 1, 3, 2}, {40, 10, 30, 20}), 0, 2);

  ASSERT_EQ(bins.size(), 2U);
  EXPECT_DOUBLE_EQ(bins[0].predicted, 15);
  EXPECT_DOUBLE_EQ(bins[0].truth, 1.5);
  EXPECT_DOUBLE_EQ(bins[1].truth, 3.5);
  EXPECT_EQ(bins[1].count, 2U);
}

TEST(Diagnostics, ReliabilityOfTwoClassesIsThatOfTheSecond) {
  const auto held_out = made(Task::kClassification, {"class"}, {"no", "yes"}, {0, 1, 1, 1},
                             {0.75F, 0.25F, 0.75F, 0.25F, 0.0F, 1.0F, 0.5F, 0.5F});

  const auto bins = reliability(held_out, 10);

  ASSERT_EQ(bins.size(), 3U);
  EXPECT_DOUBLE_EQ(bins[0].truth, 0.5);
  EXPECT_DOUBLE_EQ(bins[2].predicted, 1.0) << "a probability of 1 belongs to the last bin";
  EXPECT_DOUBLE_EQ(calibration_error(bins), (2 * 0.25 + 0.5) / 4);
}

TEST(Diagnostics, ReliabilityOfSeveralLabelsTakesThemAll) {
  const auto bins = reliability(made(Task::kMultiLabel, {"a", "b"}, {"a", "b"}, {1, 0}, {0.9F, 0.2F}), 10);

  ASSERT_EQ(bins.size(), 2U);
  EXPECT_DOUBLE_EQ(bins[0].truth, 0);
  EXPECT_DOUBLE_EQ(bins[1].truth, 1);
}

}  // namespace
}  // namespace meshfold::jobs
