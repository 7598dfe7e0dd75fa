#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "jobs/error.hpp"
#include "jobs/report/tensorboard_events.hpp"
#include "jobs/report/tensorboard_log.hpp"
#include "tests/jobs/toy_problem.hpp"

namespace meshfold::jobs {
namespace {

/// Writes what reader_of_events.py expects: 25 steps and two evaluations, of which the steps after 20 were lost and
/// done again.
TEST(TensorBoardLog, WritesTheFilesThatTensorBoardReads) {
  const char* directory = std::getenv("MESHFOLD_WRITTEN");
  ASSERT_NE(directory, nullptr) << "run the test through ctest";
  const std::filesystem::path job = std::filesystem::path(directory) / "run" / "fold-3";
  std::filesystem::remove_all(job.parent_path());
  const auto step = [](std::int64_t number, double loss) {
    StepReport report;
    report.step = number;
    report.num_steps = 25;
    report.loss = loss;
    report.learning_rate = 1e-5 * static_cast<double>(number);
    report.grad_norm = 2.5;
    return report;
  };
  {
    TensorBoardLog log(job, 5, "[run]\nseed = 42\n");
    log.on_resume(0);
    for (int i = 1; i <= 25; ++i) log.on_step(step(i, i > 20 ? 99.0 : 1.0 / i));
    log.on_evaluation({25, 1.0, {{"mcrmse", 77.0}}, true, 0.5});
  }
  // A name that sorts after the first file's, as a later second would give it.
  for (const auto& entry : std::filesystem::directory_iterator(job)) {
    std::filesystem::rename(entry.path(), job / "events.out.tfevents.1000000000.first.1");
  }
  TensorBoardLog log(job, 5, "[run]\nseed = 42\n");
  log.on_resume(20);
  log.on_note("resumed from checkpoint-20");
  for (int i = 21; i <= 25; ++i) log.on_step(step(i, 1.0 / i));
  log.on_evaluation({25, 1.0, {{"mcrmse", 0.5}, {"rmse/mean", std::numeric_limits<double>::quiet_NaN()}}, true, 0.5});
}

TEST(TensorBoardLog, SaysWhichFileItCannotWrite) {
  const tests::ScratchDirectory scratch;
  std::ofstream(scratch.path() / "fold-0") << "a file where the directory should be";

  EXPECT_THROW(TensorBoardLog(scratch.path() / "fold-0", 5, ""), StorageError);
}

}  // namespace
}  // namespace meshfold::jobs
