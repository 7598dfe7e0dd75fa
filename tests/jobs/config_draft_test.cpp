#include "jobs/config/config_draft.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "jobs/error.hpp"

namespace meshfold::jobs {
namespace {

namespace fs = std::filesystem;

constexpr ConfigUse kUse{CommandName::kCv, 4};

/// A finished config of a cross-validation, whose files are there.
class WithSettings : public testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::temp_directory_path() / ("meshfold-config-draft-" + std::to_string(getpid()));
    fs::create_directories(root_ / "model");
    std::ofstream(root_ / "model/config.json") << "{}";
    std::ofstream(root_ / "train.csv") << "id,text,mean\n";
  }
  void TearDown() override { fs::remove_all(root_); }

  RunConfig finished(const std::vector<Setting>& more = {}) const {
    ConfigDraft draft((root_ / "run").string());
    draft.set({"data.train", (root_ / "train.csv").string(), "--set"});
    draft.set({"data.targets", "mean", "--set"});
    draft.set({"model.path", (root_ / "model").string(), "--set"});
    for (const Setting& setting : more) draft.set(setting);
    return std::move(draft).finish(kUse);
  }
  std::string faults_of(const std::vector<Setting>& settings) const {
    try {
      with_settings(finished(), settings, kUse);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "";
  }

  fs::path root_;
};

void expect_has(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << "'" << part << "' is missing in:\n" << text;
}

TEST_F(WithSettings, TheValuesOfATrialArriveAndAllOthersStay) {
  const RunConfig base = finished({{"training.epochs", "7", "--set"}});

  const RunConfig trial = with_settings(
      base, {{"optimizer.learning_rate", "2e-5", "trial 3"}, {"training.batch_size", "8", "trial 3"}}, kUse);

  EXPECT_EQ(trial.optimizer.learning_rate, 2e-5);
  EXPECT_EQ(trial.training.batch_size, 8);
  EXPECT_EQ(trial.training.epochs, 7);
  EXPECT_EQ(trial.data.train, base.data.train);
  EXPECT_EQ(trial.run.directory, base.run.directory);
  EXPECT_EQ(base.training.batch_size, RunConfig{}.training.batch_size);
}

TEST_F(WithSettings, TheResultIsSealedByItsOwnHashAndText) {
  const RunConfig base = finished();
  const RunConfig trial = with_settings(base, {{"optimizer.learning_rate", "2e-5", "trial 3"}}, kUse);

  EXPECT_NE(trial.hash, base.hash);
  EXPECT_EQ(trial.hash, finished({{"optimizer.learning_rate", "2e-5", "--set"}}).hash);
  expect_has(trial.ini_text, "learning_rate = 2e-05\n");
  EXPECT_EQ(from_text(to_text(trial)).hash, trial.hash);
  EXPECT_EQ(with_settings(base, {{"log.every_steps", "3", "trial 3"}}, kUse).hash, base.hash);
  EXPECT_EQ(with_settings(base, {}, kUse).ini_text, base.ini_text);
}

TEST_F(WithSettings, EveryFaultIsNamedAtOnce) {
  const std::string faults = faults_of({{"optimizer.learning_rat", "1", "trial 3"},
                                        {"training.batch_size", "many", "trial 3"},
                                        {"cv.groups", "9", "trial 3"},
                                        {"data.features", "mean", "trial 3"}});

  expect_has(faults, "4 faults");
  expect_has(faults, "trial 3: unknown key 'optimizer.learning_rat'; did you mean 'optimizer.learning_rate'?");
  expect_has(faults, "trial 3: training.batch_size = 'many': expects an integer of at least 1");
  expect_has(faults, "trial 3: cv.groups = 9 is above 4");
  expect_has(faults, "data.targets names 'mean', which is in data.features");
  EXPECT_EQ(faults_of({}), "");
}

TEST_F(WithSettings, WhatWasChosenInsteadOfADefaultStays) {
  const RunConfig base = finished({{"model.task", "classification", "--set"},
                                   {"predict.output", "logits", "--set"},
                                   {"schedule.warmup_steps", "5", "--set"}});

  const RunConfig trial = with_settings(base, {{"training.epochs", "2", "trial 3"}}, kUse);

  EXPECT_EQ(trial.predict.output, PredictOutput::kLogits);
  EXPECT_EQ(trial.schedule.warmup_steps, 5);
  EXPECT_EQ(trial.loss.kind, models::LossKind::kCrossEntropy);
}

}  // namespace
}  // namespace meshfold::jobs
