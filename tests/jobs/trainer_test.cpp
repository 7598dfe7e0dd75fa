#include "jobs/train/trainer.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "jobs/checkpoint/store.hpp"
#include "jobs/error.hpp"
#include "jobs/train/pack_input.hpp"
#include "jobs/train/parts.hpp"
#include "jobs/train/predict_rows.hpp"
#include "jobs/train/train_step.hpp"
#include "tests/jobs/toy_problem.hpp"

namespace meshfold::jobs {
namespace {

using tests::toy_settings;
using tests::train_toy;

class ToyTraining : public testing::Test {
 protected:
  std::string fault(const TrainSettings& settings) {
    try {
      train_toy(directory_.path() / "faulty", settings, mesh_, dataset_);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "no error";
  }
  std::vector<std::int64_t> checkpoints() { return checkpoint::Store(directory_.path() / "toy", mesh_.all()).list(); }
  tests::ToyRun train(const TrainSettings& settings) {
    return train_toy(directory_.path() / "toy", settings, mesh_, dataset_);
  }

  tests::ScratchDirectory directory_;
  dist::Mesh mesh_;
  data::Dataset dataset_ = tests::make_toy_dataset(directory_.path());
};

TEST_F(ToyTraining, LearnsAndReportsEveryStepAndEveryEpoch) {
  const tests::ToyRun run = train(toy_settings());

  ASSERT_EQ(run.told.steps.size(), 20U);
  EXPECT_EQ(run.told.resumed_step, 0);
  EXPECT_EQ(run.told.steps.back().step, 20);
  EXPECT_EQ(run.told.steps.back().num_steps, 20);
  EXPECT_EQ(run.told.steps.back().samples, 5 * 29);
  EXPECT_DOUBLE_EQ(run.told.steps.back().epoch, 5.0);
  EXPECT_LT(run.told.steps.back().loss, 0.8 * run.told.steps.front().loss);
  ASSERT_EQ(run.told.evaluations.size(), 5U);
  EXPECT_EQ(run.told.evaluations[1].step, 8);
  EXPECT_EQ(run.outcome.steps, 20);
  EXPECT_EQ(run.outcome.samples_trained, 5 * 29);
  EXPECT_EQ(run.outcome.selected_step, 20);
  EXPECT_FALSE(run.outcome.stopped);
}

TEST_F(ToyTraining, IsNotThePackingsDoing) {
  // The same steps in one pack and in eight: the mathematics is the same, only the order of sums differs.
  TrainSettings whole = toy_settings(), cut = toy_settings();
  whole.training.parts = 1;
  cut.training.parts = 8;
  const tests::ToyRun one = train_toy(directory_.path() / "one", whole, mesh_, dataset_);
  const tests::ToyRun eight = train_toy(directory_.path() / "eight", cut, mesh_, dataset_);

  for (std::size_t step = 0; step < 20; ++step) {
    EXPECT_NEAR(one.told.steps[step].loss, eight.told.steps[step].loss, 1e-6) << step;
  }
}

TEST_F(ToyTraining, WithALossThatCouplesTheStepIsNotThePackingsDoingEither) {
  for (const auto kind : {models::LossKind::kRmse, models::LossKind::kMcrmse}) {
    TrainSettings whole = toy_settings(), cut = toy_settings();
    whole.loss.kind = cut.loss.kind = kind;
    whole.training.parts = 1;
    cut.training.parts = 8;
    const std::string name = std::to_string(static_cast<int>(kind));
    const tests::ToyRun one = train_toy(directory_.path() / ("one" + name), whole, mesh_, dataset_);
    const tests::ToyRun eight = train_toy(directory_.path() / ("eight" + name), cut, mesh_, dataset_);

    for (std::size_t step = 0; step < 20; ++step) {
      EXPECT_NEAR(one.told.steps[step].loss, eight.told.steps[step].loss, 1e-6) << name << ", step " << step;
      EXPECT_NEAR(one.told.steps[step].grad_norm, eight.told.steps[step].grad_norm, 1e-5) << name << ", step " << step;
    }
    EXPECT_LT(one.told.steps.back().loss, 0.9 * one.told.steps.front().loss);
  }
}

/// A step's loss is the root of mean squared error of the same step: the first step starts from the same weights.
TEST_F(ToyTraining, ByRmseStartsAtTheRootOfWhatMseStartsAt) {
  TrainSettings mse = toy_settings(), rmse = toy_settings();
  rmse.loss.kind = models::LossKind::kRmse;
  const double squared = train_toy(directory_.path() / "mse", mse, mesh_, dataset_).told.steps.front().loss;
  const double root = train_toy(directory_.path() / "rmse", rmse, mesh_, dataset_).told.steps.front().loss;

  EXPECT_NEAR(root, std::sqrt(squared), 1e-6);
}

/// A step without weight decay on the given rows, in one pack, from the toy's first weights.
struct OneStep {
  StepResult result;
  double moved;  ///< L2 norm of what was added to the weights, at learning rate 1
};

OneStep take_step(const TrainSettings& settings, const data::Dataset& dataset, std::span<const std::uint32_t> rows) {
  const dist::Mesh mesh;
  tests::ToyModel model(settings.seed, tests::kToyTargets, 0.25);
  const at::Tensor before = model.parameters().flat().clone();
  GradientExchange exchange(model.parameters(), mesh, StateSharding::kOff);
  OptimizerConfig optimizer_config;
  optimizer_config.kind = OptimizerKind::kSgd;
  optimizer_config.weight_decay = 0;
  const auto optimizer = make_optimizer(model.parameters(), optimizer_config, exchange.owned());
  TrainStep step(step_settings("toy", settings, 1), model, mesh, dataset, {exchange, *optimizer});
  const StepResult result = step.run(rows, 3, 1.0, {});
  return {result, (model.parameters().flat() - before).norm().item<double>()};
}

TEST_F(ToyTraining, MovesWeightsByTheGradientClippedToItsLargestNorm) {
  const std::vector<std::uint32_t> rows = {5, 2, 11};
  TrainSettings settings = toy_settings();
  for (const double largest : {0.01, 0.0, 1e6}) {
    settings.training.max_grad_norm = largest;
    const auto [result, moved] = take_step(settings, dataset_, rows);

    ASSERT_GT(result.grad_norm, 0.05);
    const double expected = largest == 0.01 ? largest : result.grad_norm;
    EXPECT_NEAR(moved, expected, 1e-3 * expected) << largest;
  }
}

TEST_F(ToyTraining, DrawsByTheSeedTheStepAndPassZero) {
  const std::vector<std::uint32_t> rows = {5, 2, 11};
  const TrainSettings settings = toy_settings();
  tests::ToyModel model(settings.seed, tests::kToyTargets, 0.25);
  const auto loss = models::make_loss(settings.loss, tests::kToyTargets);
  const at::Tensor targets = targets_of(dataset_, rows);
  const auto loss_of_pass = [&](std::uint8_t pass) {
    models::ForwardContext context;
    context.mode = models::Mode::kRehearsal;
    context.draws = {settings.seed, 3, pass};
    const at::Tensor outputs = model.forward(to_packed_input(data::assemble(dataset_, rows), at::kCPU), context);
    return (*loss)(outputs, targets, {loss->denominator(targets), {}}).item<double>();
  };

  const double taken = take_step(settings, dataset_, rows).result.loss;

  EXPECT_EQ(taken, loss_of_pass(0));
  EXPECT_NE(taken, loss_of_pass(1));
}

TEST_F(ToyTraining, EndsAfterMaxStepsInsideAnEpoch) {
  TrainSettings settings = toy_settings();
  settings.training.max_steps = 6;
  const tests::ToyRun run = train(settings);

  EXPECT_EQ(run.outcome.steps, 6);
  ASSERT_EQ(run.told.evaluations.size(), 2U);
  EXPECT_EQ(run.told.evaluations[1].step, 6);
}

TEST_F(ToyTraining, LeavesOutTheShortLastStepOnRequest) {
  TrainSettings settings = toy_settings();
  settings.training.drop_last = true;
  const tests::ToyRun run = train(settings);

  EXPECT_EQ(run.outcome.steps, 15);
  EXPECT_EQ(run.outcome.samples_trained, 15 * 8);
}

TEST_F(ToyTraining, ReturnsTheWeightsOfTheBestEvaluation) {
  /// Remembers the weights at the best evaluation.
  class BestHash final : public tests::Recorder {
   public:
    explicit BestHash(models::ParameterStore& store) : store_(store) {}
    void on_evaluation(const EvaluationReport& report) override {
      if (report.best) hash = store_.hash();
      Recorder::on_evaluation(report);
    }
    std::string hash;

   private:
    models::ParameterStore& store_;
  };
  TrainSettings settings = toy_settings();
  settings.select = Select::kBest;
  settings.optimizer.learning_rate = 0.3;  // wild enough that the last evaluation is not the best
  tests::ToyModel model(settings.seed, tests::kToyTargets, 0.25);
  BestHash told(model.parameters());

  const TrainOutcome outcome =
      jobs::train(tests::toy_task(directory_.path() / "toy"), settings, model, mesh_, dataset_, told, tests::never);

  ASSERT_LT(outcome.best_step, 20) << "the test needs a run whose last evaluation is not its best";
  EXPECT_EQ(outcome.selected_step, outcome.best_step);
  EXPECT_EQ(model.parameters().hash(), told.hash);
  const auto best =
      std::ranges::min_element(told.evaluations, {}, [](const auto& e) { return e.scores.front().second; });
  EXPECT_EQ(outcome.best_step, best->step);
  EXPECT_EQ(checkpoints(), (std::vector<std::int64_t>{outcome.best_step, 20}));
}

TEST_F(ToyTraining, SelectsByTheChosenMetricInItsDirection) {
  TrainSettings settings = toy_settings();
  settings.select = Select::kBest;
  settings.optimizer.learning_rate = 0.3;  // wild enough that the last evaluation is not the best
  settings.training.eval_every_steps = 1;
  const auto run_by = [&](const std::string& metric, MetricMode mode) {
    settings.metric = {metric, mode};
    return train_toy(directory_.path() / (metric + std::to_string(static_cast<int>(mode))), settings, mesh_, dataset_);
  };
  const auto score = [](const EvaluationReport& report) { return report.scores.front().second; };
  const tests::ToyRun largest = run_by("spearman", MetricMode::kAuto), smallest = run_by("spearman", MetricMode::kMin);

  EXPECT_EQ(largest.outcome.best_scores.front().first, "spearman");
  EXPECT_EQ(largest.outcome.selected_step, std::ranges::max_element(largest.told.evaluations, {}, score)->step);
  EXPECT_EQ(smallest.outcome.selected_step, std::ranges::min_element(smallest.told.evaluations, {}, score)->step);
  EXPECT_NE(largest.hash, smallest.hash);
}

TEST_F(ToyTraining, WhoseScoreIsUndefinedSelectsTheLastStepAndSaysSo) {
  TrainSettings settings = toy_settings();
  settings.select = Select::kBest;
  settings.metric.name = "qwk";  // the targets are no grades
  const tests::ToyRun run = train(settings);

  EXPECT_EQ(run.outcome.selected_step, 20);
  EXPECT_EQ(run.outcome.best_step, 0);
  ASSERT_EQ(run.told.notes.size(), 5U);
  EXPECT_NE(run.told.notes[0].find("qwk is undefined on the validation rows after step 4"), std::string::npos);
  EXPECT_TRUE(train(settings).told.steps.empty()) << "its checkpoint is read back";
}

TEST_F(ToyTraining, ThatIsDoneIsNotDoneAgain) {
  const tests::ToyRun first = train(toy_settings());
  const tests::ToyRun again = train(toy_settings());

  EXPECT_TRUE(again.told.steps.empty());
  EXPECT_EQ(again.told.resumed_step, 20);
  EXPECT_EQ(again.hash, first.hash);
  EXPECT_EQ(again.outcome.best_scores, first.outcome.best_scores);
}

TEST_F(ToyTraining, WithoutValidationRowsSelectsTheLastStep) {
  TrainSettings settings = toy_settings();
  settings.select = Select::kBest;
  TrainTask task = tests::toy_task(directory_.path() / "toy");
  task.validation_rows.clear();
  tests::ToyModel model(settings.seed, tests::kToyTargets, 0.25);
  tests::Recorder told;
  const TrainOutcome outcome = jobs::train(task, settings, model, mesh_, dataset_, told, tests::never);

  EXPECT_EQ(outcome.selected_step, 20);
  EXPECT_TRUE(outcome.best_scores.empty());
  EXPECT_EQ(checkpoints(), std::vector<std::int64_t>{20});
}

TEST_F(ToyTraining, RefusesACheckpointOfOtherSettingsDataOrRows) {
  TrainSettings settings = toy_settings();
  train(settings);
  const auto refusal = [&](const TrainTask& task, const data::Dataset& dataset) -> std::string {
    tests::ToyModel model(settings.seed, tests::kToyTargets, 0.25);
    tests::Recorder told;
    try {
      jobs::train(task, settings, model, mesh_, dataset, told, tests::never);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "no error";
  };
  TrainTask changed = tests::toy_task(directory_.path() / "toy"), rows = changed;
  changed.config_hash = "another";
  std::swap(rows.training_rows.front(), rows.validation_rows.front());
  tests::ScratchDirectory other;

  EXPECT_NE(refusal(changed, dataset_).find("the data and training settings changed"), std::string::npos);
  EXPECT_NE(refusal(rows, dataset_).find("the training or validation rows changed"), std::string::npos);
  EXPECT_NE(refusal(tests::toy_task(directory_.path() / "toy"), tests::make_toy_dataset(other.path(), "other"))
                .find("the training data changed"),
            std::string::npos);
}

TEST_F(ToyTraining, ThatDivergesIsABadNumberWithTheStep) {
  TrainSettings settings = toy_settings();
  tests::ToyModel model(settings.seed, tests::kToyTargets, 0.25);
  model.diverges_at_step = 6;
  tests::Recorder told;
  try {
    jobs::train(tests::toy_task(directory_.path() / "toy"), settings, model, mesh_, dataset_, told, tests::never);
    FAIL() << "no error";
  } catch (const BadNumbersError& error) {
    EXPECT_NE(std::string(error.what()).find("step 7: the loss is"), std::string::npos) << error.what();
  }
  EXPECT_EQ(told.steps.size(), 6U);
}

TEST_F(ToyTraining, CommitsEverySoManySteps) {
  TrainSettings settings = toy_settings();
  settings.checkpoint.every_steps = 3;
  settings.checkpoint.keep_last = 100;
  train(settings);

  EXPECT_EQ(checkpoints(), (std::vector<std::int64_t>{3, 4, 6, 8, 9, 12, 15, 16, 18, 20}));
}

TEST_F(ToyTraining, EvaluatesEverySoManyStepsAndAtEpochEnds) {
  TrainSettings settings = toy_settings();
  settings.training.eval_every_steps = 3;
  settings.training.epochs = 3;
  const tests::ToyRun run = train(settings);

  std::vector<std::int64_t> steps;
  for (const EvaluationReport& report : run.told.evaluations) steps.push_back(report.step);
  EXPECT_EQ(steps, (std::vector<std::int64_t>{3, 4, 6, 8, 9, 12}));
}

/// Wild enough that the score soon gets worse again.
TrainSettings wild_settings() {
  TrainSettings settings = toy_settings();
  settings.optimizer.learning_rate = 0.3;
  settings.training.eval_every_steps = 1;
  return settings;
}

TEST_F(ToyTraining, StopsEarlyAndIsThenDone) {
  TrainSettings settings = wild_settings();
  settings.training.early_stopping.patience = 3;
  const tests::ToyRun run = train(settings);
  const tests::ToyRun again = train(settings);

  ASSERT_LT(run.outcome.steps, 20) << "the test needs a run that gets worse";
  EXPECT_TRUE(run.outcome.stopped_early);
  EXPECT_FALSE(run.outcome.stopped);
  EXPECT_EQ(run.outcome.steps, run.outcome.best_step + 3);
  EXPECT_NE(run.told.notes.back().find("stopped early at step " + std::to_string(run.outcome.steps) + " of 20"),
            std::string::npos);
  EXPECT_TRUE(again.told.steps.empty());
  EXPECT_TRUE(again.outcome.stopped_early);
  EXPECT_EQ(again.hash, run.hash);
}

TEST_F(ToyTraining, LowersTheLearningRateOnAPlateau) {
  TrainSettings settings = wild_settings();
  const tests::ToyRun plain = train(settings);
  settings.plateau = {.patience = 1, .factor = 0.25};
  const tests::ToyRun lowered = train_toy(directory_.path() / "lowered", settings, mesh_, dataset_);

  const auto is_lowered = [](const std::string& note) { return note.starts_with("learning rate lowered after step"); };
  const auto note = std::ranges::find_if(lowered.told.notes, is_lowered);
  ASSERT_NE(note, lowered.told.notes.end());
  const auto step =
      static_cast<std::size_t>(std::stoi(note->substr(std::string("learning rate lowered after step").size())));
  for (std::size_t i = 0; i < 20; ++i) {
    const double ratio = lowered.told.steps[i].learning_rate / plain.told.steps[i].learning_rate;
    if (i < step && plain.told.steps[i].learning_rate > 0) {
      EXPECT_EQ(ratio, 1.0) << i;
    }
    if (i == step) {
      EXPECT_DOUBLE_EQ(ratio, 0.25);
    }
  }
}

TEST_F(ToyTraining, NeedsValidationRowsToGoByTheScore) {
  TrainSettings settings = toy_settings();
  settings.training.early_stopping.patience = 1;
  TrainTask task = tests::toy_task(directory_.path() / "toy");
  task.validation_rows.clear();
  tests::ToyModel model(settings.seed, tests::kToyTargets, 0.25);
  tests::Recorder told;

  EXPECT_THROW(jobs::train(task, settings, model, mesh_, dataset_, told, tests::never), ConfigError);
}

TEST_F(ToyTraining, NamesEveryFaultOfItsSettings) {
  TrainSettings settings = toy_settings();
  settings.training.batch_size = 100;
  settings.training.drop_last = true;
  settings.threads = 0;
  const std::string text = fault(settings);

  EXPECT_NE(text.find("run.threads"), std::string::npos) << text;
  EXPECT_NE(text.find("fewer training rows (29)"), std::string::npos) << text;
}

TEST_F(ToyTraining, PredictsRowsInTheirOrderWhateverThePacks) {
  tests::ToyModel model(1, tests::kToyTargets, 0.25);
  const std::vector<std::uint32_t> rows = {40, 3, 17, 0, 22};
  const at::Tensor together = predict_rows(model, mesh_, dataset_, rows, 1000);
  const at::Tensor alone = predict_rows(model, mesh_, dataset_, rows, 1);

  ASSERT_EQ(together.size(0), 5);
  EXPECT_TRUE(at::allclose(together, alone, 1e-6, 1e-6));
  const std::vector<std::uint32_t> one = {17};
  EXPECT_TRUE(at::equal(predict_rows(model, mesh_, dataset_, one, 1)[0], alone[2]));
  EXPECT_EQ(predict_rows(model, mesh_, dataset_, {}, 10).size(0), 0);
  const std::vector<std::uint32_t> twice = {3, 3};
  EXPECT_THROW(predict_rows(model, mesh_, dataset_, twice, 10), std::invalid_argument);
}

TEST_F(ToyTraining, ReadsTargetsByRow) {
  const std::vector<std::uint32_t> rows = {5, 2};
  const at::Tensor targets = targets_of(dataset_, rows);

  EXPECT_EQ(targets[0][1].item<float>(), dataset_.targets(5)[1]);
  EXPECT_EQ(targets[1][2].item<float>(), dataset_.targets(2)[2]);
}

TEST_F(ToyTraining, ResolvesPartsToTheLeastMultipleThatFits) {
  TrainingSection training;
  training.batch_size = 8;
  training.max_tokens_per_pack = 1000;
  EXPECT_EQ(resolve_parts(training, dataset_, 1), 1);
  EXPECT_EQ(resolve_parts(training, dataset_, 3), 3);

  // Lengths are 1 to 12 and each occurs three or four times: the eight longest of the file have 12 x 3 + 11 x 3 + 10 x
  // 2 tokens or a little more.
  training.max_tokens_per_pack = 60;
  const int parts = resolve_parts(training, dataset_, 1);
  EXPECT_EQ(parts, 2);
  EXPECT_EQ(resolve_parts(training, dataset_, 3), 3);
  training.max_tokens_per_pack = 1;
  EXPECT_EQ(resolve_parts(training, dataset_, 3), 9);
}

TEST_F(ToyTraining, RefusesPartsThatCannotBeShared) {
  const auto message = [&](int parts, bool deterministic, int ranks) -> std::string {
    TrainingSection training;
    training.parts = parts;
    training.deterministic = deterministic;
    try {
      resolve_parts(training, dataset_, ranks);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "no error";
  };

  EXPECT_EQ(message(6, false, 3), "no error");
  EXPECT_NE(message(4, false, 3).find("set it to 6"), std::string::npos);
  EXPECT_EQ(message(4, true, 2), "no error");
  EXPECT_NE(message(6, true, 2).find("power of two"), std::string::npos);
  EXPECT_NE(message(4, true, 3).find("power of two of data ranks"), std::string::npos);
  EXPECT_NE(message(2, true, 4).find("power of two that 4 divides"), std::string::npos);
  EXPECT_NE(message(0, true, 2).find("set training.parts = 4"), std::string::npos);
  EXPECT_NE(message(-1, false, 1).find("must not be negative"), std::string::npos);
}

}  // namespace
}  // namespace meshfold::jobs
