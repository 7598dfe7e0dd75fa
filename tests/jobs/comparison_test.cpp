#include "jobs/report/comparison.hpp"

#include <gtest/gtest.h>

namespace meshfold::jobs {
namespace {

using Rows = std::vector<std::vector<std::string>>;

ComparedRun made(std::string name, std::vector<std::pair<std::string, std::string>> options, Scores pooled) {
  ComparedRun run{std::move(name), {}, std::move(options)};
  run.record.notes.pooled = std::move(pooled);
  return run;
}

TEST(Comparison, ListsOnlyOptionsThatDifferAlsoThoseThatOneRunLacks) {
  const std::vector<ComparedRun> runs = {made("a", {{"x.same", "1"}, {"x.rate", "1"}, {"x.old", "1"}}, {}),
                                         made("b", {{"x.same", "1"}, {"x.rate", "2"}, {"x.new", ""}}, {})};

  EXPECT_EQ(differing_options(runs), (Rows{{"x.rate", "1", "2"}, {"x.old", "1", "not set"}, {"x.new", "not set", ""}}));
}

TEST(Comparison, ScoresStandBesideTheDifferenceToTheFirstRun) {
  const std::vector<ComparedRun> runs = {made("a", {}, {{"rmse", 0.5}}), made("b", {}, {{"rmse", 0.25}, {"mae", 1}}),
                                         made("c", {}, {})};

  EXPECT_EQ(score_rows(runs), (Rows{{"rmse", "0.5000", "0.2500 (-0.2500)", ""}, {"mae", "", "1.0000", ""}}));
}

TEST(Comparison, FoldsOfARunThatHasNotFinishedAreMarked) {
  auto run = made("a", {}, {});
  run.record.jobs.resize(2);
  run.record.jobs[0].id = JobId::of_fold(0);
  run.record.jobs[0].scores = {{"rmse", 0.5}};
  run.record.jobs[1].id = JobId::of_fold(1);
  run.record.jobs[1].finished = true;
  run.record.jobs[1].scores = {{"rmse", 0.75}};

  EXPECT_EQ(fold_rows({run, made("b", {}, {})}), (Rows{{"fold-0", "0.5000 *", ""}, {"fold-1", "0.7500", ""}}));
}

TEST(Comparison, TheMeanCurveIsThatOfTheEpochsAllFoldsHave) {
  const auto mean = mean_curve({{{0, 0}, {2, 2}, {4, 4}}, {{1, 11}, {3, 13}}, {}});

  ASSERT_EQ(mean.size(), 100U);
  EXPECT_DOUBLE_EQ(mean.front().first, 1);
  EXPECT_DOUBLE_EQ(mean.back().first, 3);
  for (const auto& [epoch, value] : mean) EXPECT_NEAR(value, epoch + 5, 1e-12);
}

TEST(Comparison, CurvesWithoutCommonEpochsHaveNoMean) {
  EXPECT_TRUE(mean_curve({{{0, 0}, {1, 1}}, {{2, 2}}}).empty());
  EXPECT_TRUE(mean_curve({}).empty());
  EXPECT_EQ(mean_curve({{{1, 7}}}).size(), 1U);
}

}  // namespace
}  // namespace meshfold::jobs
