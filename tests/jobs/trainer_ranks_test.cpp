#include <gtest/gtest.h>

#include <bit>
#include <stdexcept>
#include <string>
#include <vector>

#include "dist/error.hpp"
#include "jobs/checkpoint/store.hpp"
#include "jobs/error.hpp"
#include "jobs/train/predict_rows.hpp"
#include "jobs/train/step_agreement.hpp"
#include "jobs/train/trainer.hpp"
#include "models/gradients/tensor_memory.hpp"
#include "tests/jobs/toy_mesh.hpp"
#include "tests/jobs/toy_problem.hpp"

namespace meshfold::jobs {
namespace {

using tests::toy_settings;
using tests::ToyRun;
using tests::train_toy;

/// The toy problem on all ranks, beside the same problem that every rank solves alone.
class ToyTrainingOnRanks : public testing::Test {
 protected:
  bool power_of_two() { return std::has_single_bit(static_cast<unsigned>(mesh_.all().size())); }
  bool first() { return mesh_.all().rank() == 0; }
  /// Fast mode with a number of packs that 1, 2, 3 and 4 ranks divide.
  static TrainSettings fast_settings() {
    TrainSettings settings = toy_settings();
    settings.training.deterministic = false;
    settings.training.parts = 12;
    return settings;
  }
  ToyRun together(const TrainSettings& settings, const std::string& name = "together",
                  const std::function<bool()>& stop = tests::never) {
    return train_toy(shared_.path() / name, settings, mesh_, dataset_, stop);
  }
  ToyRun alone(const TrainSettings& settings) {
    return train_toy(own_.path() / "alone", settings, dist::Mesh(), dataset_);
  }
  void check_bitwise(const TrainSettings& settings);
  void check_close(const TrainSettings& settings);
  void check_resume(const TrainSettings& settings, int stop_step);
  template <typename Fault>
  void check_one_rank_fails_all(const TrainSettings& settings, Fault fault);

  dist::Mesh mesh_ = tests::world_mesh();
  tests::ScratchDirectory own_;
  tests::SharedDirectory shared_{mesh_.all()};
  data::Dataset dataset_ = tests::make_toy_dataset(own_.path());
};

/// The run on all ranks has the bits of the run on one.
void ToyTrainingOnRanks::check_bitwise(const TrainSettings& settings) {
  const ToyRun many = together(settings), one = alone(settings);

  EXPECT_EQ(many.hash, one.hash);
  EXPECT_EQ(many.outcome.last_scores, one.outcome.last_scores);
  EXPECT_EQ(many.told.steps.size(), first() ? 20U : 0U) << "only the job's first rank reports";
  for (std::size_t step = 0; step < many.told.steps.size(); ++step) {
    EXPECT_EQ(many.told.steps[step].loss, one.told.steps[step].loss) << "step " << step + 1;
    EXPECT_EQ(many.told.steps[step].grad_norm, one.told.steps[step].grad_norm) << "step " << step + 1;
  }
}

/// The run on all ranks has the losses and scores of the run on one to 1e-6.
void ToyTrainingOnRanks::check_close(const TrainSettings& settings) {
  const ToyRun many = together(settings), one = alone(settings);

  EXPECT_EQ(many.told.steps.size(), first() ? 20U : 0U);
  for (std::size_t step = 0; step < many.told.steps.size(); ++step) {
    EXPECT_NEAR(many.told.steps[step].loss, one.told.steps[step].loss, 1e-6) << "step " << step + 1;
  }
  ASSERT_EQ(many.outcome.last_scores.size(), one.outcome.last_scores.size());
  for (std::size_t i = 0; i < many.outcome.last_scores.size(); ++i) {
    EXPECT_NEAR(many.outcome.last_scores[i].second, one.outcome.last_scores[i].second, 1e-6);
  }
}

TrainSettings with_loss(TrainSettings settings, models::LossKind kind) {
  settings.loss.kind = kind;
  return settings;
}

TEST_F(ToyTrainingOnRanks, IsBitwiseThatOfOneProcessInDeterministicMode) {
  if (!power_of_two()) GTEST_SKIP() << "deterministic mode needs a power of two of ranks";
  check_bitwise(toy_settings());
}

TEST_F(ToyTrainingOnRanks, IsThatOfOneProcessTo1e6InFastMode) { check_close(fast_settings()); }

// Four packs: a rank of four keeps its one pack's graph, one rank alone rehearses all four.
TEST_F(ToyTrainingOnRanks, ByRmseIsBitwiseThatOfOneProcessInDeterministicMode) {
  if (!power_of_two()) GTEST_SKIP() << "deterministic mode needs a power of two of ranks";
  check_bitwise(with_loss(toy_settings(), models::LossKind::kRmse));
}

TEST_F(ToyTrainingOnRanks, ByRmseIsThatOfOneProcessTo1e6InFastMode) {
  check_close(with_loss(fast_settings(), models::LossKind::kRmse));
}

TEST_F(ToyTrainingOnRanks, ByMcrmseIsBitwiseThatOfOneProcessInDeterministicMode) {
  if (!power_of_two()) GTEST_SKIP() << "deterministic mode needs a power of two of ranks";
  check_bitwise(with_loss(toy_settings(), models::LossKind::kMcrmse));
}

TEST_F(ToyTrainingOnRanks, ByMcrmseIsThatOfOneProcessTo1e6InFastMode) {
  check_close(with_loss(fast_settings(), models::LossKind::kMcrmse));
}

TEST_F(ToyTrainingOnRanks, SharesPacksAmongMoreRanksThanThereAreSamples) {
  TrainSettings settings = fast_settings();
  settings.training.batch_size = 2;
  settings.training.max_steps = 10;
  const ToyRun many = together(settings), one = alone(settings);

  for (std::size_t step = 0; step < many.told.steps.size(); ++step) {
    EXPECT_NEAR(many.told.steps[step].loss, one.told.steps[step].loss, 1e-6) << "step " << step + 1;
  }
}

TEST_F(ToyTrainingOnRanks, TellsWhatEveryRankSentAndHeld) {
  models::count_tensor_memory();
  const ToyRun many = together(fast_settings());

  const auto num_ranks = static_cast<std::size_t>(mesh_.all().size());
  ASSERT_EQ(many.told.usage.size(), first() ? num_ranks : 0U);
  const auto values = static_cast<std::uint64_t>(
      tests::ToyModel(fast_settings().seed, tests::kToyTargets, 0.25).parameters().num_elements());
  std::uint64_t sent = 0;
  for (std::size_t rank = 0; rank < many.told.usage.size(); ++rank) {
    const RankUsage& usage = many.told.usage[rank];
    EXPECT_EQ(usage.place.data, static_cast<int>(rank));
    EXPECT_EQ(usage.steps, 20);
    EXPECT_EQ(usage.pipeline_bytes + usage.tensor_bytes, 0U);
    EXPECT_GT(usage.step_peak_bytes, 2 * 4 * values) << "weights and gradients at least";
    sent += usage.data_bytes;
  }
  // Gradients go out and values come back: every rank's for all others, and a little for the norm.
  EXPECT_GE(sent, first() ? 20 * 2 * (num_ranks - 1) * 4 * values : 0U);
  EXPECT_EQ(sent > 0, first() && num_ranks > 1);
}

/// Stops in `stop_step`, starts again, and compares with a run that nobody disturbed.
void ToyTrainingOnRanks::check_resume(const TrainSettings& settings, int stop_step) {
  const ToyRun undisturbed = together(settings, "undisturbed");
  // One rank alone is asked to stop; all must.
  const bool asked = mesh_.all().rank() == mesh_.all().size() - 1;
  const ToyRun stopped =
      together(settings, "stopped", asked ? tests::stop_in_step(stop_step) : std::function<bool()>(tests::never));
  const ToyRun resumed = together(settings, "stopped");

  EXPECT_TRUE(stopped.outcome.stopped);
  EXPECT_EQ(stopped.outcome.steps, stop_step);
  EXPECT_EQ(stopped.hash == undisturbed.hash, stop_step == 20);
  EXPECT_EQ(resumed.hash, undisturbed.hash);
  EXPECT_EQ(resumed.outcome.best_scores, undisturbed.outcome.best_scores);
  EXPECT_EQ(resumed.outcome.best_step, undisturbed.outcome.best_step);
  EXPECT_EQ(resumed.outcome.samples_trained, undisturbed.outcome.samples_trained);
  if (!first()) return;
  EXPECT_EQ(resumed.told.resumed_step, stop_step);
  ASSERT_EQ(resumed.told.steps.size(), 20U - static_cast<std::size_t>(stop_step));
  if (!resumed.told.steps.empty()) {
    EXPECT_EQ(resumed.told.steps.front().step, stop_step + 1);
  }
  for (const StepReport& report : resumed.told.steps) {
    EXPECT_EQ(report.loss, undisturbed.told.steps[static_cast<std::size_t>(report.step) - 1].loss)
        << "step " << report.step;
  }
  EXPECT_EQ(stopped.told.evaluations.size() + resumed.told.evaluations.size(), 5U)
      << "no evaluation is lost or repeated";
}

TEST_F(ToyTrainingOnRanks, ThatIsStoppedInsideAnEpochEndsWithTheWeightsOfAnUndisturbedRun) {
  check_resume(fast_settings(), 6);
}

TEST_F(ToyTrainingOnRanks, ThatIsStoppedAtTheEndOfAnEpochEvaluatesItAfterwards) { check_resume(fast_settings(), 8); }

TEST_F(ToyTrainingOnRanks, ThatIsStoppedInTheLastStepStillEvaluatesAndEnds) { check_resume(fast_settings(), 20); }

TEST_F(ToyTrainingOnRanks, ResumesBestSelectionAcrossAStop) {
  TrainSettings settings = fast_settings();
  settings.select = Select::kBest;
  settings.optimizer.learning_rate = 0.3;
  check_resume(settings, 14);
}

/// Evaluates after every step and soon gets worse, so that callbacks act.
TrainSettings heedful(TrainSettings settings) {
  settings.optimizer.learning_rate = 0.3;
  settings.training.eval_every_steps = 1;
  settings.plateau = {.patience = 1, .factor = 0.5};
  settings.training.early_stopping.patience = 6;
  return settings;
}

TEST_F(ToyTrainingOnRanks, HeedsScoresAtTheSameStepsAsOneProcess) {
  const TrainSettings settings = heedful(fast_settings());
  const ToyRun many = together(settings), one = alone(settings);

  EXPECT_TRUE(one.outcome.stopped_early);
  EXPECT_TRUE(many.outcome.stopped_early) << "every rank knows, also those that report nothing";
  EXPECT_EQ(many.outcome.steps, one.outcome.steps);
  if (!first()) return;
  EXPECT_EQ(many.told.notes, one.told.notes);
  EXPECT_GE(one.told.notes.size(), 2U) << "the rate must fall at least once before training ends";
}

TEST_F(ToyTrainingOnRanks, HeedsAMetricWhereLargerIsBetterAtTheSameSteps) {
  TrainSettings settings = heedful(fast_settings());
  settings.metric.name = "spearman";
  const ToyRun many = together(settings), one = alone(settings);

  EXPECT_EQ(many.outcome.best_step, one.outcome.best_step);
  EXPECT_EQ(many.outcome.steps, one.outcome.steps);
  EXPECT_EQ(many.outcome.last_scores.front().first, "spearman");
  EXPECT_EQ(many.told.notes, first() ? one.told.notes : std::vector<std::string>());
}

TEST_F(ToyTrainingOnRanks, ResumesItsPatienceAcrossAStop) {
  TrainSettings settings = heedful(fast_settings());
  const ToyRun undisturbed = together(settings, "undisturbed");
  for (const int stop_step : {3, 5, 6}) {
    const std::string name = "stopped-" + std::to_string(stop_step);
    const ToyRun stopped = together(settings, name, tests::stop_in_step(stop_step));
    const ToyRun resumed = together(settings, name);

    EXPECT_TRUE(stopped.outcome.stopped);
    EXPECT_EQ(resumed.outcome.steps, undisturbed.outcome.steps);
    EXPECT_EQ(resumed.outcome.stopped_early, undisturbed.outcome.stopped_early);
    EXPECT_EQ(resumed.hash, undisturbed.hash);
  }
}

TEST_F(ToyTrainingOnRanks, ContinuesOnAnotherNumberOfRanksWithTheSameBitsInDeterministicMode) {
  if (!power_of_two()) GTEST_SKIP() << "deterministic mode needs a power of two of ranks";
  const ToyRun undisturbed = alone(toy_settings());
  // All ranks begin, each rank alone reads what they committed and goes on from a copy.
  together(toy_settings(), "moved", tests::stop_in_step(7));
  std::filesystem::copy(shared_.path() / "moved", own_.path() / "moved", std::filesystem::copy_options::recursive);
  const ToyRun moved = train_toy(own_.path() / "moved", toy_settings(), dist::Mesh(), dataset_);

  EXPECT_EQ(moved.hash, undisturbed.hash);
  EXPECT_EQ(moved.told.steps.size(), 13U);
}

/// `fault(model)` breaks one rank's model; on that rank its own exception comes out, on the others PeerFailed, and
/// nobody waits for the deadline.
template <typename Fault>
void ToyTrainingOnRanks::check_one_rank_fails_all(const TrainSettings& settings, Fault fault) {
  const bool broken = mesh_.all().rank() == mesh_.all().size() - 1;
  tests::ToyModel model(7, tests::kToyTargets, 0.25);
  if (broken) fault(model);
  tests::Recorder told;
  try {
    train(tests::toy_task(shared_.path() / "fails"), settings, model, mesh_, dataset_, told, tests::never);
    ADD_FAILURE() << "no error";
  } catch (const dist::PeerFailed& error) {
    EXPECT_FALSE(broken);
    EXPECT_NE(std::string(error.what()).find("fails on purpose"), std::string::npos) << error.what();
    EXPECT_EQ(error.rank(), mesh_.all().size() - 1);
  } catch (const std::runtime_error& error) {
    EXPECT_TRUE(broken);
    EXPECT_NE(std::string(error.what()).find("fails on purpose"), std::string::npos) << error.what();
  }
}

TEST_F(ToyTrainingOnRanks, FailsOnAllRanksWhenOneThrowsInAStep) {
  check_one_rank_fails_all(fast_settings(), [](tests::ToyModel& model) { model.fails_at_step = 5; });
}

TEST_F(ToyTrainingOnRanks, FailsOnAllRanksWhenOneThrowsInARehearsal) {
  check_one_rank_fails_all(with_loss(fast_settings(), models::LossKind::kMcrmse),
                           [](tests::ToyModel& model) { model.fails_at_step = 5; });
}

TEST_F(ToyTrainingOnRanks, AgreesOnTheSumsOfAStepOrFailsOnAllRanks) {
  const int ranks = mesh_.all().size(), last = ranks - 1;
  std::vector<double> values = {1.0, mesh_.all().rank() + 1.0};
  StepAgreement fine(mesh_.all(), "step 1 of toy", nullptr), failed(mesh_.all(), "step 2 of toy", nullptr);
  fine.sum(values);
  EXPECT_EQ(values, (std::vector<double>{1.0 * ranks, ranks * (ranks + 1) / 2.0}));

  failed.attempt([&] {
    if (mesh_.all().rank() == last) throw std::runtime_error("no memory");
  });
  try {
    failed.sum(values);
    ADD_FAILURE() << "no error";
  } catch (const dist::PeerFailed& error) {
    EXPECT_NE(mesh_.all().rank(), last);
    EXPECT_NE(std::string(error.what()).find("no memory"), std::string::npos) << error.what();
  } catch (const std::runtime_error& error) {
    EXPECT_EQ(mesh_.all().rank(), last);
    EXPECT_STREQ(error.what(), "no memory");
  }
}

TEST_F(ToyTrainingOnRanks, FailsOnAllRanksWhenTheListenerThrows) {
  class FullDisk final : public tests::Recorder {
    void on_step(const StepReport&) override { throw std::runtime_error("no space left on device"); }
  } told;
  tests::ToyModel model(7, tests::kToyTargets, 0.25);

  EXPECT_THROW(
      train(tests::toy_task(shared_.path() / "full"), fast_settings(), model, mesh_, dataset_, told, tests::never),
      std::runtime_error);
}

TEST_F(ToyTrainingOnRanks, EndsWithBadNumbersOnAllRanksWhenOneDiverges) {
  tests::ToyModel model(7, tests::kToyTargets, 0.25);
  if (mesh_.all().rank() == mesh_.all().size() - 1) model.diverges_at_step = 5;
  tests::Recorder told;

  EXPECT_THROW(
      train(tests::toy_task(shared_.path() / "nan"), fast_settings(), model, mesh_, dataset_, told, tests::never),
      BadNumbersError);
}

TEST_F(ToyTrainingOnRanks, RefusesToStartFromDifferentWeights) {
  if (mesh_.all().size() == 1) GTEST_SKIP() << "needs several ranks";
  tests::ToyModel model(static_cast<std::uint32_t>(mesh_.all().rank()), tests::kToyTargets, 0.25);
  tests::Recorder told;

  EXPECT_THROW(
      train(tests::toy_task(shared_.path() / "apart"), fast_settings(), model, mesh_, dataset_, told, tests::never),
      std::runtime_error);
}

TEST_F(ToyTrainingOnRanks, PredictsTheSameBitsOnAnyNumberOfRanks) {
  tests::ToyModel model(7, tests::kToyTargets, 0.25);
  const std::vector<std::uint32_t> rows = {40, 3, 17, 0, 22, 9, 31};

  EXPECT_TRUE(
      at::equal(predict_rows(model, mesh_, dataset_, rows, 12), predict_rows(model, dist::Mesh(), dataset_, rows, 12)));
  const std::vector<std::uint32_t> one = {4};
  EXPECT_TRUE(
      at::equal(predict_rows(model, mesh_, dataset_, one, 12), predict_rows(model, dist::Mesh(), dataset_, one, 12)));
}

}  // namespace
}  // namespace meshfold::jobs
