#include "jobs/train/schedule.hpp"

#include <gtest/gtest.h>

#include "tests/jobs/reference.hpp"

namespace meshfold::jobs {
namespace {

TEST(ScheduleFactor, EqualsTransformersWithItsRoundingOfWarmUpSteps) {
  ASSERT_FALSE(tests::training_reference()["schedules"].empty());
  for (const nlohmann::json& wanted : tests::training_reference()["schedules"]) {
    ScheduleConfig config;
    config.kind = wanted["kind"] == "linear" ? ScheduleKind::kLinear : ScheduleKind::kConstant;
    config.warmup_ratio = wanted["warmup_ratio"].get<double>();
    const auto num_steps = wanted["num_steps"].get<std::int64_t>();
    for (std::int64_t step = 0; step < num_steps; ++step) {
      EXPECT_DOUBLE_EQ(schedule_factor(config, step, num_steps),
                       wanted["factors"][static_cast<std::size_t>(step)].get<double>())
          << wanted["kind"] << " of " << num_steps << " with ratio " << config.warmup_ratio << ", step " << step;
    }
  }
}

TEST(ScheduleFactor, IsZeroAtAndBeyondTheEnd) {
  EXPECT_EQ(schedule_factor({}, 50, 50), 0.0);
  EXPECT_EQ(schedule_factor({}, 51, 50), 0.0);
}

}  // namespace
}  // namespace meshfold::jobs
