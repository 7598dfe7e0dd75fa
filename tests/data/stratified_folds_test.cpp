#include "data/stratified_folds.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <set>

#include "tests/data/oracle_file.hpp"

namespace meshfold::data {
namespace {

struct Split {
  std::string name;
  int num_folds;
  SampleLabels labels;
  std::vector<std::int32_t> groups;
  double deviation;  ///< of the library's split
};

std::vector<Split> splits_of_libraries() {
  OracleFile file(oracle_directory("stratified_folds") / "splits.bin");
  std::vector<Split> splits;
  while (!file.at_end()) {
    Split split;
    split.name = file.text();
    split.num_folds = static_cast<int>(file.number());
    split.labels.names.resize(file.number(), "label");
    split.labels.of_sample.resize(file.number());
    for (auto& sample : split.labels.of_sample) sample = file.ids();
    file.number();
    split.groups = file.ids();
    split.deviation = std::stod(file.text());
    splits.push_back(std::move(split));
  }
  return splits;
}

TEST(StratifiedFolds, AreNotWorseThanScikitLearnsAndIterativeStratificationsOnRealData) {
  const auto splits = splits_of_libraries();
  ASSERT_EQ(splits.size(), 12u);
  for (const Split& split : splits) {
    double mean = 0;
    for (std::uint32_t seed = 0; seed < 3; ++seed) {
      const auto start = std::chrono::steady_clock::now();
      const auto folds = make_stratified_folds(split.labels, split.groups, split.num_folds, seed);
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
      mean += deviation_of(split.labels, folds, split.num_folds).largest / 3;
      EXPECT_LT(seconds.count(), 20.0);
      EXPECT_EQ(inspect_folds(folds, split.num_folds, split.groups).groups_in_several_folds, 0u);
    }
    std::printf("%-36s %2d folds: largest deviation %.6f, the library's %.6f\n", split.name.c_str(), split.num_folds,
                mean, split.deviation);
    EXPECT_LE(mean, split.deviation * 1.02 + 1e-9) << split.name << ", " << split.num_folds << " folds";
  }
}

SampleLabels labels_of(std::vector<std::vector<std::int32_t>> of_sample, std::size_t num_labels) {
  return {std::move(of_sample), std::vector<std::string>(num_labels, "label")};
}

TEST(StratifiedFolds, DealEachClassEvenlyWithSizesThatDifferByAtMostOne) {
  std::vector<std::vector<std::int32_t>> samples;
  for (int i = 0; i < 103; ++i) samples.push_back({i % 7 == 0 ? 2 : i % 3 == 0 ? 1 : 0});
  const auto labels = labels_of(samples, 3);

  const auto folds = make_stratified_folds(labels, {}, 5, 9);

  std::vector<std::vector<int>> counts(3, std::vector<int>(5));
  for (std::size_t i = 0; i < folds.size(); ++i) {
    ++counts[static_cast<std::size_t>(samples[i][0])][static_cast<std::size_t>(folds[i])];
  }
  for (const auto& of_label : counts) {
    const auto [least, most] = std::ranges::minmax(of_label);
    EXPECT_LE(most - least, 1);
  }
  const auto report = inspect_folds(folds, 5, {});
  const auto [least, most] = std::ranges::minmax(report.sizes);
  EXPECT_LE(most - least, 1u);
}

TEST(StratifiedFolds, KeepSizesEvenForSeveralLabelsASampleToo) {
  std::vector<std::vector<std::int32_t>> samples;
  for (int i = 0; i < 211; ++i) {
    std::vector<std::int32_t> sample;
    for (int label = 0; label < 4; ++label) {
      if (i % (label + 2) == 0) sample.push_back(label);
    }
    samples.push_back(sample);
  }
  const auto labels = labels_of(samples, 4);

  const auto report = inspect_folds(make_stratified_folds(labels, {}, 4, 1), 4, {});

  const auto [least, most] = std::ranges::minmax(report.sizes);
  EXPECT_LE(most - least, 1u);
}

TEST(StratifiedFolds, FollowTheSeedAlone) {
  const auto split = splits_of_libraries().back();

  const auto folds = make_stratified_folds(split.labels, split.groups, split.num_folds, 3);

  EXPECT_EQ(folds, make_stratified_folds(split.labels, split.groups, split.num_folds, 3));
  EXPECT_NE(folds, make_stratified_folds(split.labels, split.groups, split.num_folds, 4));
}

TEST(StratifiedFolds, LeaveNoFoldEmptyWhenOneGroupHasNearlyEverything) {
  std::vector<std::vector<std::int32_t>> samples(1000, {0});
  std::vector<std::int32_t> groups(1000, 0);
  groups[7] = 1;
  groups[8] = 2;
  samples[7] = {1};

  const auto folds = make_stratified_folds(labels_of(samples, 2), groups, 3, 0);

  EXPECT_EQ(std::set<std::int16_t>(folds.begin(), folds.end()).size(), 3u);
}

TEST(StratifiedFolds, RefuseMoreFoldsThanSamplesOrGroups) {
  const auto labels = labels_of({{0}, {1}, {0}}, 2);
  const std::vector<std::int32_t> groups = {0, 1, 0};

  EXPECT_THROW(make_stratified_folds(labels, {}, 4, 0), std::invalid_argument);
  EXPECT_THROW(make_stratified_folds(labels, groups, 3, 0), std::invalid_argument);
  EXPECT_THROW(make_stratified_folds(labels, {}, 1, 0), std::invalid_argument);
}

TEST(LabelDeviation, IsTheLargestDifferenceOfShares) {
  const auto labels = labels_of({{0}, {0}, {0, 1}, {1}}, 2);
  // Fold 0: samples 0 and 1 (label 0: 1, label 1: 0); whole: label 0: 0.75, label 1: 0.5.
  const auto worst = deviation_of(labels, {0, 0, 1, 1}, 2);

  EXPECT_DOUBLE_EQ(worst.largest, 0.5);
  EXPECT_EQ(worst.fold, 0);
  EXPECT_EQ(worst.label, 1u);
}

TEST(CutIntoBins, KeepsDistinctValuesWhereTheyAreFewAndElseEvenBins) {
  const std::vector<float> scores = {3.5, 1, 2, 1, 3.5, 1};
  EXPECT_EQ(cut_into_bins(scores, 10), (std::vector<std::int32_t>{2, 0, 1, 0, 2, 0}));

  std::vector<float> values;
  for (int i = 0; i < 1000; ++i) values.push_back(static_cast<float>((i * 617) % 1000));
  const auto bins = cut_into_bins(values, 8);
  for (std::int32_t bin = 0; bin < 8; ++bin) EXPECT_EQ(std::ranges::count(bins, bin), 125);
  EXPECT_EQ(bins[0], 0) << "the smallest value is in the first bin";
}

TEST(CutIntoBins, KeepsEqualValuesTogetherAndNumbersBinsWithoutGaps) {
  std::vector<float> values(900, 0.0F);
  for (int i = 0; i < 100; ++i) values.push_back(static_cast<float>(i + 1));
  const auto bins = cut_into_bins(values, 10);

  const std::set<std::int32_t> used(bins.begin(), bins.end());
  EXPECT_TRUE(std::all_of(bins.begin(), bins.begin() + 900, [&](auto bin) { return bin == bins[0]; }));
  EXPECT_EQ(*used.rbegin(), static_cast<std::int32_t>(used.size()) - 1);
  EXPECT_THROW(cut_into_bins(values, 1), std::invalid_argument);
}

}  // namespace
}  // namespace meshfold::data
