#include "jobs/train/pipeline_schedule.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <stdexcept>
#include <string>
#include <tuple>

namespace meshfold::jobs {
namespace {

struct Case {
  const char* name;
  PipelineOrder schedule;
  int chunks;
  CellCosts costs;
};

class PipelineSchedules : public testing::TestWithParam<Case> {
 protected:
  static PipelineSchedule make(int stages, int packs) {
    return make_pipeline_schedule(GetParam().schedule, stages, packs, GetParam().chunks);
  }
};

/// Stages and packs; the packs are multiples of the stages.
constexpr std::pair<int, int> kSizes[] = {{1, 1}, {1, 5}, {2, 2}, {2, 8}, {3, 6}, {4, 4}, {4, 16}, {8, 16}};

TEST_P(PipelineSchedules, HaveEveryCellOnceAndNeverWaitForever) {
  for (const auto& [stages, packs] : kSizes) {
    const PipelineSchedule schedule = make(stages, packs);
    const bool puts_weights_off = GetParam().schedule == PipelineOrder::kZeroBubble;

    EXPECT_NO_THROW(run_on_clock(schedule, GetParam().costs));
    for (const auto& row : schedule.cells) {
      std::set<std::tuple<PipelinePhase, int, int>> distinct;
      for (const PipelineCell& cell : row) distinct.insert({cell.phase, cell.pack, cell.chunk});
      const auto wanted = static_cast<std::size_t>(packs * GetParam().chunks * (puts_weights_off ? 3 : 2));
      EXPECT_EQ(row.size(), wanted);
      EXPECT_EQ(distinct.size(), wanted);
    }
  }
}

TEST_P(PipelineSchedules, AreIdleForAsLongAsTheFormulaSays) {
  for (const auto& [stages, packs] : kSizes) {
    const Timeline timeline = run_on_clock(make(stages, packs), GetParam().costs);
    const double formula = idle_by_formula(GetParam().schedule, stages, GetParam().chunks, GetParam().costs);

    for (const double idle : timeline.idle) {
      EXPECT_NEAR(idle, formula, 0.1 * formula) << stages << " stages, " << packs << " packs";
    }
  }
}

TEST_P(PipelineSchedules, GoBackInPackOrderSoThatGradientsAddInPackOrder) {
  for (const auto& [stages, packs] : kSizes) {
    for (const auto& row : make(stages, packs).cells) {
      for (int chunk = 0; chunk < GetParam().chunks; ++chunk) {
        std::vector<int> order;
        for (const PipelineCell& cell : row) {
          if (cell.phase == PipelinePhase::kBackward && cell.chunk == chunk) order.push_back(cell.pack);
        }
        EXPECT_TRUE(std::ranges::is_sorted(order));
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, PipelineSchedules,
    testing::Values(Case{"gpipe", PipelineOrder::kGpipe, 1, {1, 2, 0}},
                    Case{"one_forward_one_backward", PipelineOrder::kOneForwardOneBackward, 1, {1, 2, 0}},
                    Case{"interleaved_2", PipelineOrder::kInterleaved, 2, {1, 2, 0}},
                    Case{"interleaved_3", PipelineOrder::kInterleaved, 3, {1, 2, 0}},
                    Case{"zero_bubble", PipelineOrder::kZeroBubble, 1, {1, 1, 1}}),
    [](const auto& instance) { return instance.param.name; });

TEST(PipelineSchedule, OfOneForwardOneBackwardHoldsAtMostAsManyPacksAsStagesFollow) {
  const Timeline alternating = run_on_clock(make_pipeline_schedule(PipelineOrder::kOneForwardOneBackward, 4, 16), {});
  const Timeline gpipe = run_on_clock(make_pipeline_schedule(PipelineOrder::kGpipe, 4, 16), {});

  EXPECT_EQ(alternating.most_held, (std::vector<int>{4, 3, 2, 1}));
  EXPECT_EQ(gpipe.most_held, (std::vector<int>{16, 16, 16, 16}));
}

TEST(PipelineSchedule, OfOneStageTakesEachPackForwardAndBackInTurn) {
  const PipelineSchedule schedule = make_pipeline_schedule(PipelineOrder::kOneForwardOneBackward, 1, 2);

  EXPECT_EQ(schedule.cells[0], (std::vector<PipelineCell>{{PipelinePhase::kForward, 0, 0},
                                                          {PipelinePhase::kBackward, 0, 0},
                                                          {PipelinePhase::kForward, 1, 0},
                                                          {PipelinePhase::kBackward, 1, 0}}));
}

TEST(PipelineSchedule, RefusesNumbersThatDoNotFit) {
  EXPECT_THROW(make_pipeline_schedule(PipelineOrder::kGpipe, 0, 4), std::invalid_argument);
  EXPECT_THROW(make_pipeline_schedule(PipelineOrder::kGpipe, 2, 4, 2), std::invalid_argument);
  EXPECT_THROW(make_pipeline_schedule(PipelineOrder::kInterleaved, 4, 6, 2), std::invalid_argument);
}

TEST(PipelineSchedule, ThatWaitsForeverIsNoticed) {
  PipelineSchedule schedule = make_pipeline_schedule(PipelineOrder::kGpipe, 2, 1);
  std::swap(schedule.cells[0][0], schedule.cells[0][1]);

  EXPECT_THROW(run_on_clock(schedule, {}), std::logic_error);
}

}  // namespace
}  // namespace meshfold::jobs
