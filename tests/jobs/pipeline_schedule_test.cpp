#include "jobs/train/pipeline_schedule.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "tests/jobs/pipeline_cases.hpp"

namespace meshfold::jobs {
namespace {

using tests::PipelineCase;

class PipelineSchedules : public testing::TestWithParam<PipelineCase> {};

/// Stages and packs; the packs are multiples of the stages.
constexpr std::pair<int, int> kSizes[] = {{1, 1}, {1, 5}, {2, 2}, {2, 8}, {3, 6}, {4, 4}, {4, 16}, {8, 16}};

TEST_P(PipelineSchedules, HaveEveryCellOnceAndNeverWaitForever) {
  for (const auto& [stages, packs] : kSizes) {
    const PipelineSchedule schedule = GetParam().make(stages, packs);

    EXPECT_NO_THROW(run_on_clock(schedule, GetParam().costs));
    for (const auto& row : schedule.cells) {
      std::set<std::tuple<PipelinePhase, int, int>> distinct;
      for (const PipelineCell& cell : row) distinct.insert({cell.phase, cell.pack, cell.chunk});
      const auto wanted =
          static_cast<std::size_t>(packs * schedule.num_chunks * (GetParam().puts_weights_off() ? 3 : 2));
      EXPECT_EQ(row.size(), wanted);
      EXPECT_EQ(distinct.size(), wanted);
    }
  }
}

TEST_P(PipelineSchedules, AreIdleForAsLongAsTheFormulaSays) {
  for (const auto& [stages, packs] : kSizes) {
    const PipelineSchedule schedule = GetParam().make(stages, packs);
    const Timeline timeline = run_on_clock(schedule, GetParam().costs);
    const double formula = idle_by_formula(stages, schedule.num_chunks, GetParam().costs);

    for (const double idle : timeline.idle) {
      EXPECT_NEAR(idle, formula, 0.1 * formula) << stages << " stages, " << packs << " packs";
    }
  }
}

TEST_P(PipelineSchedules, GoBackInPackOrderSoThatGradientsAddInPackOrder) {
  for (const auto& [stages, packs] : kSizes) {
    const PipelineSchedule schedule = GetParam().make(stages, packs);
    for (const auto& row : schedule.cells) {
      for (int chunk = 0; chunk < schedule.num_chunks; ++chunk) {
        std::vector<int> order;
        for (const PipelineCell& cell : row) {
          if (cell.phase == PipelinePhase::kBackward && cell.chunk == chunk) order.push_back(cell.pack);
        }
        EXPECT_TRUE(std::ranges::is_sorted(order));
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, PipelineSchedules,
                         testing::Values(tests::kGpipe, tests::kOneForwardOneBackward, tests::kInterleavedTwo,
                                         tests::kInterleavedThree, tests::kZeroBubble),
                         [](const auto& instance) { return instance.param.name; });

TEST(PipelineSchedule, OfOneForwardOneBackwardHoldsAtMostAsManyPacksAsStagesFollow) {
  const Timeline alternating = run_on_clock(make_pipeline_schedule(PipelineOrder::kOneForwardOneBackward, 4, 16), {});
  const Timeline gpipe = run_on_clock(make_pipeline_schedule(PipelineOrder::kGpipe, 4, 16), {});

  EXPECT_EQ(alternating.most_held, (std::vector<int>{4, 3, 2, 1}));
  EXPECT_EQ(gpipe.most_held, (std::vector<int>{16, 16, 16, 16}));
}

TEST(PipelineSchedule, OfOneStageTakesEachPackForwardAndBackInTurn) {
  for (const PipelineOrder order : {PipelineOrder::kOneForwardOneBackward, PipelineOrder::kGpipe}) {
    EXPECT_EQ(make_pipeline_schedule(order, 1, 2).cells[0], (PipelineRow{{PipelinePhase::kForward, 0, 0},
                                                                         {PipelinePhase::kBackward, 0, 0},
                                                                         {PipelinePhase::kForward, 1, 0},
                                                                         {PipelinePhase::kBackward, 1, 0}}));
  }
}

TEST(PipelineSchedule, RefusesNumbersThatDoNotFit) {
  EXPECT_THROW(make_pipeline_schedule(PipelineOrder::kGpipe, 0, 4), std::invalid_argument);
  EXPECT_THROW(make_pipeline_schedule(PipelineOrder::kGpipe, 2, 0), std::invalid_argument);
  EXPECT_THROW(interleaved_schedule(4, 6, 2), std::invalid_argument);
  EXPECT_THROW(interleaved_schedule(2, 4, 0), std::invalid_argument);
}

TEST(PipelineSchedule, ThatWaitsForeverIsNoticed) {
  PipelineSchedule schedule = make_pipeline_schedule(PipelineOrder::kGpipe, 2, 1);
  std::swap(schedule.cells[0][0], schedule.cells[0][1]);

  EXPECT_THROW(run_on_clock(schedule, {}), std::logic_error);
}

}  // namespace
}  // namespace meshfold::jobs
