// Tables run with stages that are arithmetic, sleep, or fail, one stage per rank of the test.

#include "jobs/train/pipeline_runner.hpp"

#include <gtest/gtest.h>

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "dist/communicator.hpp"
#include "dist/mesh.hpp"
#include "tests/jobs/pipeline_cases.hpp"
#include "tests/rank_environment.hpp"

namespace meshfold::jobs {
namespace {

using Tensors = std::vector<at::Tensor>;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// Neither map commutes with another part's, so a wrong order of parts shows. Small whole numbers: exact.
at::Tensor go_forward(const at::Tensor& x, int part) { return x * 2 + (part + 1); }
at::Tensor go_back(const at::Tensor& gradient, int part) { return gradient * 3 + (part + 1) * (part + 1); }
at::Tensor input_of(int pack) { return at::arange(3, at::kDouble) + 10 * pack; }

class ToyStage : public PipelineWorker {
 public:
  ToyStage(const PipelineSchedule& schedule, int stage) : schedule_(schedule), stage_(stage) {}

  Tensors buffers(const PipelineCell&) override { return message(at::full({3}, -1.0, at::kDouble), -1); }
  Tensors forward(const PipelineCell& cell, const Tensors& received) override {
    begin(cell);
    const int part = part_of(cell);
    const at::Tensor y = go_forward(take(cell, received, part == 0, input_of(cell.pack)), part);
    if (part == num_parts() - 1) outputs.push_back(y);
    return message(y, cell.pack);
  }
  Tensors backward(const PipelineCell& cell, const Tensors& received) override {
    begin(cell);
    const int part = part_of(cell);
    const at::Tensor gradient = go_back(take(cell, received, part == num_parts() - 1, input_of(cell.pack)), part);
    if (part == 0) gradients.push_back(gradient);
    return message(gradient, cell.pack);
  }
  void weight(const PipelineCell& cell) override { begin(cell); }

  int part_of(const PipelineCell& cell) const { return cell.chunk * schedule_.num_stages + stage_; }
  int num_parts() const { return schedule_.num_stages * schedule_.num_chunks; }

  std::optional<PipelineCell> fails_in;
  std::optional<CellCosts> sleeps;  ///< seconds
  double busy = 0.0;
  PipelineRow begun;
  Tensors outputs, gradients;  ///< of the last and the first part, in the order in which they came

 private:
  /// An empty tensor is not sent, but is part of the message.
  static Tensors message(const at::Tensor& values, int pack) {
    return {values, at::empty({0}, at::kFloat), at::full({1}, pack, at::kLong)};
  }
  at::Tensor take(const PipelineCell& cell, const Tensors& received, bool outermost, const at::Tensor& start) {
    if (outermost) {
      EXPECT_TRUE(received.empty());
      return start;
    }
    EXPECT_EQ(received.size(), 3U);
    EXPECT_EQ(received.at(2).item<int>(), cell.pack);
    return received.at(0);
  }
  void begin(const PipelineCell& cell) {
    begun.push_back(cell);
    if (fails_in && *fails_in == cell) throw std::runtime_error("stage " + std::to_string(stage_) + " fails");
    if (!sleeps) return;
    const auto start = Clock::now();
    const double cost = cell.phase == PipelinePhase::kForward    ? sleeps->forward
                        : cell.phase == PipelinePhase::kBackward ? sleeps->backward
                                                                 : sleeps->weight;
    std::this_thread::sleep_for(std::chrono::duration<double>(cost));
    busy += seconds_since(start);
  }

  const PipelineSchedule& schedule_;
  int stage_;
};

class PipelineRunner : public testing::TestWithParam<tests::PipelineCase> {
 protected:
  int rank() { return world_.all().rank(); }
  int size() { return world_.all().size(); }
  PipelineSchedule table() { return GetParam().make(size(), 2 * size()); }
  const PipelineRow& row(const PipelineSchedule& schedule) { return schedule.cells[static_cast<std::size_t>(rank())]; }
  void expect_all_marked(int failed, PipelinePhase phase, bool before);

  dist::Mesh world_{tests::rank_environment().world(), {tests::rank_environment().size(), 1, 1}, "test"};
};

TEST_P(PipelineRunner, ComposesThePartsForwardAndBackForEveryPack) {
  const PipelineSchedule schedule = table();
  ToyStage stage(schedule, rank());
  EXPECT_TRUE(run_pipeline(schedule, world_.all(), stage));
  EXPECT_EQ(stage.begun, row(schedule));  // each once, in order
  const auto packs = static_cast<std::size_t>(schedule.num_packs);
  ASSERT_EQ(stage.outputs.size(), rank() == size() - 1 ? packs : 0U);
  ASSERT_EQ(stage.gradients.size(), rank() == 0 ? packs : 0U);
  for (int pack = 0; pack < schedule.num_packs; ++pack) {  // pack order, on either end
    at::Tensor y = input_of(pack), gradient = input_of(pack);
    for (int part = 0; part < stage.num_parts(); ++part) y = go_forward(y, part);
    for (int part = stage.num_parts() - 1; part >= 0; --part) gradient = go_back(gradient, part);
    const auto index = static_cast<std::size_t>(pack);
    if (rank() == size() - 1) {
      EXPECT_TRUE(stage.outputs[index].equal(y)) << "pack " << pack;
    }
    if (rank() == 0) {
      EXPECT_TRUE(stage.gradients[index].equal(gradient)) << "pack " << pack;
    }
  }
  std::vector<int> next(static_cast<std::size_t>(schedule.num_chunks), 0);
  for (const PipelineCell& cell : stage.begun) {
    if (cell.phase == PipelinePhase::kBackward) {
      EXPECT_EQ(cell.pack, next[static_cast<std::size_t>(cell.chunk)]++);
    }
  }
}

/// Within 10 % of the idle time itself. A machine that others use delays a sleeper now and then: one of five runs.
TEST_P(PipelineRunner, IdlesAsLongAsTheFormulaSays) {
  const PipelineSchedule schedule = table();
  const double unit = 0.24 / size();  // long beside the milliseconds that a sleeper comes late
  const CellCosts& units = GetParam().costs;
  const CellCosts costs{unit * units.forward, unit * units.backward, unit * units.weight};
  const int chunks = schedule.num_chunks;
  const double formula = idle_by_formula(size(), chunks, costs);
  double worst = 1.0;
  for (int attempt = 0; attempt < 5 && worst > 0.1; ++attempt) {
    ToyStage stage(schedule, rank());
    stage.sleeps = CellCosts{costs.forward / chunks, costs.backward / chunks, costs.weight / chunks};
    world_.all().barrier();
    const auto start = Clock::now();
    EXPECT_TRUE(run_pipeline(schedule, world_.all(), stage));
    const at::Tensor length = at::full({1}, seconds_since(start), at::kDouble);
    world_.all().all_reduce(length, dist::ReduceOp::kMax)->wait();
    const double idle = length.item<double>() - stage.busy;
    const at::Tensor deviation = at::full({1}, std::abs(idle - formula) / formula, at::kDouble);
    world_.all().all_reduce(deviation, dist::ReduceOp::kMax)->wait();
    worst = deviation.item<double>();
  }
  RecordProperty("deviation", std::to_string(worst));
  EXPECT_LE(worst, 0.1) << "of " << formula << " s";
}

/// Stage `failed` fails in pack 1 of its first chunk, or `before` the run.
void PipelineRunner::expect_all_marked(int failed, PipelinePhase phase, bool before) {
  SCOPED_TRACE("stage " + std::to_string(failed) +
               (before                             ? " before"
                : phase == PipelinePhase::kForward ? " fwd"
                                                   : " bwd"));
  const PipelineSchedule schedule = table();
  const PipelineCell bad{phase, before ? 0 : 1, 0};
  ToyStage stage(schedule, rank());
  std::exception_ptr failure;
  if (rank() == failed && !before) stage.fails_in = bad;
  if (rank() == failed && before) failure = std::make_exception_ptr(std::runtime_error("failed before"));
  world_.all().barrier();
  const auto start = Clock::now();
  bool fine = true;
  std::string error;
  try {
    fine = run_pipeline(schedule, world_.all(), stage, failure);
  } catch (const std::runtime_error& caught) {
    error = caught.what();
  }
  EXPECT_LT(seconds_since(start), 5.0);
  world_.all().barrier();

  // What was computed is the start of the row: nothing after the mark.
  const PipelineRow& cells = row(schedule);
  ASSERT_LE(stage.begun.size(), cells.size());
  EXPECT_TRUE(std::equal(stage.begun.begin(), stage.begun.end(), cells.begin()));
  if (rank() == failed) {
    EXPECT_EQ(error, before ? "failed before" : "stage " + std::to_string(failed) + " fails");
    if (before) {
      EXPECT_TRUE(stage.begun.empty());
    }
    if (!before) {
      EXPECT_EQ(stage.begun.back(), bad);
    }
    return;
  }
  EXPECT_EQ(error, "");
  // A failed backward is told to the parts before; whether those behind hear of it depends on the table.
  if (phase == PipelinePhase::kForward || rank() < failed) {
    EXPECT_FALSE(fine);
  }
  for (const PipelineCell& cell : stage.begun) {
    if (cell.pack < bad.pack) continue;
    if (cell.phase == PipelinePhase::kForward) {
      EXPECT_FALSE(phase == PipelinePhase::kForward && stage.part_of(cell) > failed) << "forward of pack " << cell.pack;
    } else {
      EXPECT_FALSE(phase == PipelinePhase::kForward || stage.part_of(cell) < failed)
          << "backward of pack " << cell.pack;
    }
  }
}

TEST_P(PipelineRunner, HandsAFailureToAllStagesAndComputesNoFurther) {
  for (int failed = 0; failed < size(); ++failed) {
    expect_all_marked(failed, PipelinePhase::kForward, false);
    expect_all_marked(failed, PipelinePhase::kBackward, false);
  }
}

TEST_P(PipelineRunner, HandsOnAFailureThatWasThereBefore) {
  for (int failed = 0; failed < size(); ++failed) expect_all_marked(failed, PipelinePhase::kForward, true);
}

INSTANTIATE_TEST_SUITE_P(Schedules, PipelineRunner,
                         testing::Values(tests::kGpipe, tests::kOneForwardOneBackward, tests::kInterleavedTwo,
                                         tests::kZeroBubble),
                         [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace meshfold::jobs
