#include "jobs/train/learning_rate_schedule.hpp"

#include <gtest/gtest.h>

#include <map>

#include "tests/jobs/reference.hpp"

namespace meshfold::jobs {
namespace {

LearningRateCurve kind_of(const nlohmann::json& wanted) {
  static const std::map<std::string, LearningRateCurve> kKinds = {
      {"linear", LearningRateCurve::kLinear},
      {"constant", LearningRateCurve::kConstant},
      {"cosine", LearningRateCurve::kCosine},
      {"cosine_restarts", LearningRateCurve::kCosineRestarts},
      {"polynomial", LearningRateCurve::kPolynomial}};
  return kKinds.at(wanted["kind"].get<std::string>());
}

LearningRateSchedule config_of(const nlohmann::json& wanted) {
  LearningRateSchedule config;
  config.kind = kind_of(wanted);
  config.warmup_ratio = wanted["warmup_ratio"].get<double>();
  if (wanted.contains("num_cycles")) config.num_cycles = wanted["num_cycles"].get<double>();
  config.power = wanted.value("power", 1.0);
  config.end_ratio = wanted.value("end_ratio", 0.0);
  return config;
}

TEST(LearningRateFactor, EqualsTransformersWithItsRoundingOfWarmUpSteps) {
  ASSERT_GE(tests::training_reference()["schedules"].size(), 48U);
  for (const nlohmann::json& wanted : tests::training_reference()["schedules"]) {
    const LearningRateSchedule by_ratio = config_of(wanted);
    LearningRateSchedule by_steps = by_ratio;
    by_steps.warmup_ratio = 0.9;
    by_steps.warmup_steps = wanted["warmup_steps"].get<int>();
    const auto num_steps = wanted["num_steps"].get<std::int64_t>();
    for (std::size_t step = 0; step < wanted["factors"].size(); ++step) {
      const auto at = static_cast<std::int64_t>(step);
      const auto factor = wanted["factors"][step].get<double>();
      EXPECT_NEAR(learning_rate_factor(by_ratio, at, {num_steps, 1}), factor, 1e-15)
          << wanted["kind"] << " of " << num_steps << " with ratio " << by_ratio.warmup_ratio << ", step " << step;
      EXPECT_EQ(learning_rate_factor(by_steps, at, {num_steps, 1}), learning_rate_factor(by_ratio, at, {num_steps, 1}));
    }
  }
}

TEST(LearningRateFactor, GivesTheLearningRatesOfTheEssayRecipe) {
  LearningRateSchedule config;
  config.kind = LearningRateCurve::kCosine;
  config.warmup_ratio = 0;
  config.num_cycles = 0.5;
  const std::map<std::int64_t, double> wanted = {
      {391, 1.809e-5}, {782, 1.309e-5}, {1173, 6.91e-6}, {1564, 1.91e-6}, {1955, 0}};
  for (const auto& [step, rate] : wanted) {
    EXPECT_NEAR(2e-5 * learning_rate_factor(config, step, {1955, 391}), rate, 5e-9) << step;
  }
}

TEST(LearningRateFactor, IsZeroAtAndBeyondTheEnd) {
  EXPECT_EQ(learning_rate_factor({}, 50, {50, 1}), 0.0);
  EXPECT_EQ(learning_rate_factor({}, 51, {50, 1}), 0.0);
}

TEST(LearningRateFactor, FollowsATableFromEpochToEpochAndStaysAtItsEnd) {
  LearningRateSchedule config;
  config.kind = LearningRateCurve::kTable;
  config.table = {0.5, 1, 0.25};
  const TrainingLength span{12, 3};

  std::vector<double> factors;
  for (std::int64_t step = 0; step < 12; ++step) factors.push_back(learning_rate_factor(config, step, span));

  EXPECT_EQ(factors, (std::vector<double>{.5, .5, .5, 1, 1, 1, .25, .25, .25, .25, .25, .25}));
}

TEST(LearningRateFactor, RampsHoldsAndDecaysByEpochs) {
  // lr_start 1e-6, lr_max 1e-5, lr_min 1e-6, ramp 2, sustain 1, decay 0.8, at the start of each of seven epochs.
  LearningRateSchedule config;
  config.kind = LearningRateCurve::kRampHoldDecay;
  config.ramp_start = config.end_ratio = 0.1;
  config.ramp_epochs = 2;
  config.hold_epochs = 1;
  config.decay = 0.8;
  const std::vector<double> wanted = {1e-6, 5.5e-6, 1e-5, 1e-5, 8.2e-6, 6.76e-6, 5.608e-6};
  for (std::size_t epoch = 0; epoch < wanted.size(); ++epoch) {
    const auto step = static_cast<std::int64_t>(epoch) * 4;
    EXPECT_NEAR(1e-5 * learning_rate_factor(config, step, {28, 4}), wanted[epoch], 1e-15) << epoch;
    EXPECT_EQ(learning_rate_factor(config, step + 3, {28, 4}), learning_rate_factor(config, step, {28, 4}));
  }
}

TEST(DescribeLearningRateSchedule, SaysKindWarmUpAndTheRatesThatMatter) {
  LearningRateSchedule config;
  config.kind = LearningRateCurve::kCosine;

  EXPECT_EQ(describe(config, 2e-5, {100, 10}),
            "cosine, 0.5 cycles, warm-up 10 steps; learning rate 0 in the first step, 2e-05 at its peak, 6.092e-09 in "
            "the last");
}

}  // namespace
}  // namespace meshfold::jobs
