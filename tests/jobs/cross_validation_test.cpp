#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include "jobs/cv/out_of_fold.hpp"
#include "jobs/error.hpp"
#include "jobs/job_id.hpp"
#include "jobs/results/finished_jobs.hpp"
#include "jobs/results/job_result.hpp"
#include "tests/data/temporary_directory.hpp"

namespace meshfold::jobs {
namespace {

const std::vector<std::string> kIds{"a", "b", "c", "d", "e"};
const data::FoldAssignment kFolds{0, 1, 0, 1, 2};

models::HeadConfig regression(std::vector<std::string> labels) {
  models::HeadConfig head;
  head.labels = std::move(labels);
  return head;
}

JobResult fold_result(int fold, std::vector<std::uint32_t> rows) {
  JobResult result;
  result.record.id = JobId::of_fold(fold);
  result.record.num_folds = 3;
  result.record.selected_step = 10 + fold;
  result.record.scores = {{"mcrmse", 0.1 * (3 - fold)}, {"rmse/x", 1.0 / 3}};
  result.record.last_scores = {{"mcrmse", 0.7}};
  result.record.head = regression({"x", "y"});
  result.record.model_path = "base";
  result.rows = std::move(rows);
  result.validation_predictions = at::empty({static_cast<std::int64_t>(result.rows.size()), 2});
  for (std::size_t i = 0; i < result.rows.size(); ++i) {
    result.validation_predictions[static_cast<std::int64_t>(i)].fill_(static_cast<double>(result.rows[i]) + 0.5);
  }
  result.test_predictions = at::full({3, 2}, static_cast<double>(fold));
  return result;
}

std::vector<JobResult> good_results() { return {fold_result(0, {0, 2}), fold_result(1, {1, 3}), fold_result(2, {4})}; }

std::string error_of(const std::vector<JobResult>& results) {
  try {
    collect_out_of_fold(results, kFolds, kIds);
  } catch (const OutOfFoldError& error) {
    return error.what();
  }
  return "no error";
}

TEST(OutOfFold, HoldsTheHeldOutPredictionOfEverySampleInInputOrder) {
  const auto collected = collect_out_of_fold(good_results(), kFolds, kIds);

  EXPECT_TRUE(at::equal(collected.select(1, 0), at::arange(5) + 0.5));
}

TEST(OutOfFold, NamesASampleThatIsMissing) {
  auto results = good_results();
  results[1] = fold_result(1, {1});

  EXPECT_EQ(error_of(results), "sample 'd' of fold 1 has no out-of-fold prediction");
}

TEST(OutOfFold, NamesASampleThatIsPredictedTwice) {
  auto results = good_results();
  results[0] = fold_result(0, {0, 2, 2});

  EXPECT_EQ(error_of(results), "sample 'c' was predicted twice by fold-0");
}

TEST(OutOfFold, NamesASampleThatTheFoldWasTrainedOn) {
  auto results = good_results();
  results[2] = fold_result(2, {4, 1});

  EXPECT_EQ(error_of(results), "sample 'b' is held out by fold 1 but was predicted by fold-2, which was trained on it");
}

TEST(OutOfFold, RefusesRowsBeyondTheTableAndNumbersThatAreNotFinite) {
  auto beyond = good_results();
  beyond[2] = fold_result(2, {4, 9});
  auto infinite = good_results();
  infinite[2].validation_predictions.fill_(INFINITY);

  EXPECT_EQ(error_of(beyond), "fold-2 predicts row 9, but the table has 5 samples");
  EXPECT_EQ(error_of(infinite), "sample 'e': the prediction of fold-2 is not a finite number");
}

TEST(OutOfFold, NoticesAFoldThatIsNotThere) {
  auto results = good_results();
  results.erase(results.begin());

  EXPECT_EQ(error_of(results), "sample 'a' of fold 0 has no out-of-fold prediction");
}

TEST(TrivialPredictor, PredictsTheMeanOfTheOtherFolds) {
  const auto targets = at::tensor({1.0F, 2.0F, 3.0F, 4.0F, 10.0F}).reshape({5, 1});

  const auto predictions = predict_trivially(regression({"x"}), targets, kFolds, 3);

  const auto expected = at::tensor({16.0F / 3, 14.0F / 3, 16.0F / 3, 14.0F / 3, 2.5F}).reshape({5, 1});
  EXPECT_TRUE(at::allclose(predictions, expected)) << predictions;
}

TEST(TrivialPredictor, PredictsTheClassSharesOfTheOtherFolds) {
  models::HeadConfig head = regression({"no", "yes"});
  head.task = models::Task::kClassification;
  const auto targets = at::tensor({0.0F, 1.0F, 1.0F, 1.0F, 1.0F}).reshape({5, 1});

  const auto shares = predict_trivially(head, targets, kFolds, 3).softmax(-1).select(1, 1);

  EXPECT_TRUE(at::allclose(shares, at::tensor({1.0F, 2.0F / 3, 1.0F, 2.0F / 3, 0.75F}), 1e-5, 1e-5)) << shares;
}

TEST(TrivialPredictor, PredictsTheMeanSharesOfSoftClasses) {
  models::HeadConfig head = regression({"no", "yes"});
  head.task = models::Task::kClassification;
  const auto yes = at::tensor({0.0F, 0.5F, 1.0F, 0.25F, 0.75F});

  const auto shares = predict_trivially(head, at::stack({1 - yes, yes}, 1), kFolds, 3).softmax(-1).select(1, 1);

  const auto expected = at::tensor({0.5F, 1.75F / 3, 0.5F, 1.75F / 3, 0.4375F});
  EXPECT_TRUE(at::allclose(shares, expected, 1e-5, 1e-5)) << shares;
}

TEST(TrivialPredictor, PredictsEachLabelsShareOfTheOtherFolds) {
  models::HeadConfig head = regression({"angry", "never"});
  head.task = models::Task::kMultiLabel;
  const auto targets = at::stack({at::tensor({0.0F, 1.0F, 1.0F, 1.0F, 1.0F}), at::zeros({5})}, 1);

  const auto outputs = predict_trivially(head, targets, kFolds, 3);

  const auto shares = outputs.sigmoid().select(1, 0);
  EXPECT_TRUE(at::allclose(shares, at::tensor({1.0F, 2.0F / 3, 1.0F, 2.0F / 3, 0.75F}), 1e-5, 1e-5)) << shares;
  EXPECT_TRUE(outputs.isfinite().all().item<bool>()) << "a label that never occurs";
}

TEST(TestPredictions, AreTheMeanOfTheFoldsValues) {
  EXPECT_TRUE(at::equal(mean_test_predictions(regression({"x", "y"}), good_results()), at::ones({3, 2})));
}

TEST(TestPredictions, OfClassesAreTheMeanOfProbabilitiesAndNotOfLogits) {
  models::HeadConfig head = regression({"no", "yes"});
  head.task = models::Task::kClassification;
  auto results = good_results();
  results.pop_back();
  results[0].test_predictions = at::tensor({0.0F, 0.0F}).reshape({1, 2});
  results[1].test_predictions = at::tensor({0.0F, std::log(9.0F)}).reshape({1, 2});

  const auto mean = mean_test_predictions(head, results);

  EXPECT_NEAR(mean[0][1].item<float>(), (0.5F + 0.9F) / 2, 1e-6);
}

TEST(TestPredictions, OfLabelsAreTheMeanOfTheirOwnProbabilities) {
  models::HeadConfig head = regression({"angry", "glad"});
  head.task = models::Task::kMultiLabel;
  auto results = good_results();
  results.pop_back();
  results[0].test_predictions = at::zeros({1, 2});
  results[1].test_predictions = at::full({1, 2}, std::log(9.0F));

  EXPECT_TRUE(at::allclose(mean_test_predictions(head, results), at::full({1, 2}, 0.7)));
}

TEST(JobSeed, DiffersBetweenFoldsAndIsTheRunsOwnForTrain) {
  EXPECT_EQ(job_seed(42, JobId::of_training()), 42U);
  EXPECT_EQ(job_seed(42, JobId::of_fold(0)), 42U ^ 0x9E3779B9U);
  EXPECT_EQ(job_seed(42, JobId::of_fold(2)), 42U ^ 0xDAA66D2BU);
  EXPECT_NE(job_seed(42, JobId::of_fold(0)), job_seed(42, JobId::of_fold(1)));
}

TEST(JobIdNames, SayWhichFoldItIsAndWhichDirectoriesAreJobs) {
  EXPECT_EQ(JobId::of_fold(12).name, "fold-12");
  EXPECT_EQ(JobId::named("fold-12"), JobId::of_fold(12));
  EXPECT_EQ(JobId::named("train"), JobId::of_training());
  EXPECT_TRUE(JobId::named("fold-0").is_known());
  EXPECT_TRUE(JobId::named("train").is_known());
  for (const char* name : {"logs", "fold-", "fold-x", "fold-1x", "fold--1", "training"}) {
    EXPECT_FALSE(JobId::named(name).is_known()) << name;
  }
}

class JobResultFiles : public testing::Test {
 protected:
  const std::filesystem::path& directory() const { return temporary_.path(); }

  TemporaryDirectory temporary_;
  const ResultOrigin origin_{"config", "data", "folds", "test"};
};

TEST_F(JobResultFiles, ReadBackWhatWasCommitted) {
  const auto written = fold_result(1, {1, 3});
  commit_result(directory() / "fold-1", written, origin_);

  std::string note;
  const auto read = read_result(directory() / "fold-1", origin_, note);

  ASSERT_TRUE(read);
  EXPECT_EQ(note, "");
  EXPECT_EQ(read->rows, written.rows);
  EXPECT_TRUE(at::equal(read->validation_predictions, written.validation_predictions));
  EXPECT_TRUE(at::equal(read->test_predictions, written.test_predictions));
  EXPECT_EQ(read->record.scores, written.record.scores);
  EXPECT_EQ(read->record.selected_step, 11);
  EXPECT_EQ(read->record.head.labels, written.record.head.labels);
}

TEST_F(JobResultFiles, KeepTheTask) {
  for (const auto task : {models::Task::kRegression, models::Task::kClassification, models::Task::kMultiLabel}) {
    auto written = fold_result(0, {0, 2});
    written.record.head.task = task;
    commit_result(directory() / "fold-0", written, origin_);

    EXPECT_EQ(read_record(directory() / "fold-0")->head.task, task);
  }
}

TEST_F(JobResultFiles, AreNotFinishedWithoutDoneJson) {
  commit_result(directory() / "fold-0", fold_result(0, {0, 2}), origin_);
  std::filesystem::remove(directory() / "fold-0" / "done.json");

  std::string note;
  EXPECT_FALSE(read_result(directory() / "fold-0", origin_, note));
  EXPECT_EQ(note, "");
}

TEST_F(JobResultFiles, AreNotFinishedWhenTheirBytesChanged) {
  commit_result(directory() / "fold-0", fold_result(0, {0, 2}), origin_);
  std::fstream file(directory() / "fold-0" / "result.safetensors", std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-1, std::ios::end);
  file.put('\x7f');
  file.close();

  std::string note;
  EXPECT_FALSE(read_result(directory() / "fold-0", origin_, note));
  EXPECT_NE(note.find("does not match done.json"), std::string::npos) << note;
}

TEST_F(JobResultFiles, AreMadeAgainForAnotherTestTableAndRefusedForOtherTrainingData) {
  commit_result(directory() / "fold-0", fold_result(0, {0, 2}), origin_);
  auto other_test = origin_, other_data = origin_, other_folds = origin_;
  other_test.test_hash = "new";
  other_data.data_hash = "new";
  other_folds.folds_hash = "new";

  std::string note;
  EXPECT_FALSE(read_result(directory() / "fold-0", other_test, note));
  EXPECT_NE(note.find("another test table"), std::string::npos);
  EXPECT_THROW(read_result(directory() / "fold-0", other_data, note), ConfigError);
  EXPECT_THROW(read_result(directory() / "fold-0", other_folds, note), ConfigError);
}

TEST_F(JobResultFiles, TellWhichFoldOfARunIsBestAndWhichIsMissing) {
  for (const auto& result : good_results()) {
    if (result.record.id.fold != 1) commit_result(directory() / result.record.id.name, result, origin_);
  }
  std::string message;
  try {
    find_finished_jobs(directory());
  } catch (const CheckpointError& error) {
    message = error.what();
  }
  commit_result(directory() / "fold-1", fold_result(1, {1, 3}), origin_);

  EXPECT_NE(message.find("fold 1 of 3 has not finished"), std::string::npos) << message;
  EXPECT_EQ(find_finished_jobs(directory()).size(), 3U);
  EXPECT_EQ(choose_job(directory(), "").id.name, "fold-2");  // of scores 0.3, 0.2, 0.1
  EXPECT_EQ(choose_job(directory(), "fold-0").id.name, "fold-0");
  EXPECT_THROW(choose_job(directory(), "fold-7"), CheckpointError);
}

}  // namespace
}  // namespace meshfold::jobs
