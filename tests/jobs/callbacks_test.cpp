#include <gtest/gtest.h>

#include <limits>

#include "jobs/train/early_stopping.hpp"
#include "jobs/train/plateau_decay.hpp"
#include "tests/jobs/reference.hpp"

namespace meshfold::jobs {
namespace {

/// The number of scores that are looked at until training ends.
int length(EarlyStopping stopping, const std::vector<double>& scores) {
  int seen = 0;
  for (const double score : scores) {
    ++seen;
    if (stopping.observe(score)) break;
  }
  return seen;
}

TEST(EarlyStopping, EndsAfterPatienceEvaluationsWithoutImprovement) {
  const std::vector<double> scores = {0.9, 0.8, 0.85, 0.81, 0.79, 0.8, 0.8, 0.8, 0.1};

  EXPECT_EQ(length({{.patience = 3}, Better::kSmaller}, scores), 8);
  EXPECT_EQ(length({{.patience = 2}, Better::kSmaller}, scores), 4);
  EXPECT_EQ(length({{.patience = 1}, Better::kLarger}, scores), 2);
  EXPECT_EQ(length({{.patience = 0}, Better::kLarger}, scores), 9) << "0 is never";
}

TEST(EarlyStopping, CountsGainsOfMinDeltaAndLessAsNone) {
  const std::vector<double> scores = {0.9, 0.89, 0.88, 0.87};

  EXPECT_EQ(length({{.patience = 2, .min_delta = 0.05}, Better::kSmaller}, scores), 3);
  EXPECT_EQ(length({{.patience = 2, .min_delta = 0.005}, Better::kSmaller}, scores), 4);
}

TEST(EarlyStopping, CountsAnUndefinedScoreAsNoImprovement) {
  const double undefined = std::numeric_limits<double>::quiet_NaN();

  EXPECT_EQ(length({{.patience = 2}, Better::kSmaller}, {undefined, 0.5, 0.4, undefined, undefined, 0.1}), 5);
  EXPECT_EQ(length({{.patience = 2}, Better::kLarger}, {undefined, undefined, 0.1}), 2);
}

TEST(EarlyStopping, GoesOnFromItsStateAsIfNothingHadHappened) {
  const std::vector<double> scores = {0.9, 0.8, 0.85, 0.81, 0.79, 0.8, 0.8, 0.8};
  EarlyStopping whole({.patience = 3}, Better::kSmaller), part({.patience = 3}, Better::kSmaller);
  for (const double score : scores) {
    EXPECT_EQ(part.observe(score), whole.observe(score));
    part = EarlyStopping({.patience = 3}, Better::kSmaller, part.state());
    EXPECT_EQ(part.state(), whole.state());
  }
}

TEST(PlateauDecay, EqualsTorchAlsoWhenItGoesOnFromItsState) {
  ASSERT_EQ(tests::training_reference()["plateaus"].size(), 5U);
  for (const nlohmann::json& wanted : tests::training_reference()["plateaus"]) {
    PlateauConfig config;
    config.patience = wanted["patience"].get<int>();
    config.factor = 0.5;
    config.threshold = wanted["threshold"].get<double>();
    config.cooldown = wanted["cooldown"].get<int>();
    config.min_ratio = wanted["min_ratio"].get<double>();
    const auto better = wanted["mode"] == "max" ? Better::kLarger : Better::kSmaller;
    PlateauDecay decay(config, better);
    for (std::size_t i = 0; i < wanted["scores"].size(); ++i) {
      const double before = decay.state().factor;
      const bool fell = decay.observe(wanted["scores"][i].get<double>());
      EXPECT_EQ(decay.state().factor, wanted["factors"][i].get<double>()) << wanted["mode"] << ", evaluation " << i;
      EXPECT_EQ(fell, decay.state().factor < before);
      decay = PlateauDecay(config, better, decay.state());
    }
    EXPECT_LT(decay.state().factor, 1.0) << "the case must lower the rate";
  }
}

TEST(PlateauDecay, CountsAnUndefinedScoreAsNoImprovement) {
  const double undefined = std::numeric_limits<double>::quiet_NaN();
  PlateauDecay decay({.patience = 1}, Better::kLarger);

  EXPECT_FALSE(decay.observe(undefined));
  EXPECT_FALSE(decay.observe(0.1)) << "the first defined score is the best";
  EXPECT_FALSE(decay.observe(undefined));
  EXPECT_TRUE(decay.observe(undefined));
}

TEST(PlateauDecay, WithoutPatienceNeverLowers) {
  PlateauDecay decay({}, Better::kSmaller);
  for (int i = 0; i < 50; ++i) EXPECT_FALSE(decay.observe(1.0));
  EXPECT_EQ(decay.state().factor, 1.0);
}

}  // namespace
}  // namespace meshfold::jobs
