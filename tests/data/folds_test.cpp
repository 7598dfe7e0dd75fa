#include "data/folds.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <stdexcept>

#include "data/csv_table.hpp"
#include "data/error.hpp"
#include "tests/data/temporary_directory.hpp"

namespace meshfold::data {
namespace {

std::vector<std::int32_t> codes_of(const CsvTable& table, const char* column) {
  std::map<std::string, std::int32_t> codes;
  std::vector<std::int32_t> groups;
  const auto index = table.column(column);
  for (std::size_t row = 0; row < table.num_rows(); ++row) {
    groups.push_back(codes.emplace(table.cell(row, index), static_cast<std::int32_t>(codes.size())).first->second);
  }
  return groups;
}

template <typename Function>
std::string refusal_of(Function function) {
  try {
    function();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "accepted";
}

TEST(KFold, HasSizesThatDifferByAtMostOne) {
  for (const std::size_t samples : {2u, 10u, 11u, 1003u}) {
    for (const int folds : {2, 3, 5, 7}) {
      if (static_cast<std::size_t>(folds) > samples) continue;
      const auto report = inspect_folds(make_k_fold(samples, folds, 1), folds, {});

      const auto [least, most] = std::minmax_element(report.sizes.begin(), report.sizes.end());
      EXPECT_LE(*most - *least, 1u);
    }
  }
}

TEST(KFold, IsSetByItsSeedAlone) {
  EXPECT_EQ(make_k_fold(100, 5, 3), make_k_fold(100, 5, 3));
  EXPECT_NE(make_k_fold(100, 5, 3), make_k_fold(100, 5, 4));
}

TEST(KFold, RefusesMoreFoldsThanSamplesAndFewerThanTwo) {
  EXPECT_NE(refusal_of([] { make_k_fold(3, 4, 0); }).find("more folds (4) than samples (3)"), std::string::npos);
  EXPECT_THROW(make_k_fold(3, 1, 0), std::invalid_argument);
}

TEST(GroupKFold, KeepsEveryGroupInOneFoldOfRealDocuments) {
  const char* directory = std::getenv("MESHFOLD_TEST_DATA");
  if (directory == nullptr || *directory == '\0') FAIL() << "MESHFOLD_TEST_DATA is not set; scripts/test sets it";
  const auto groups = codes_of(CsvTable::open(std::filesystem::path(directory) / "vader.csv"), "doc");
  ASSERT_EQ(groups.size(), 23703u);

  const auto report = inspect_folds(make_group_k_fold(groups, 5, 42), 5, groups);

  EXPECT_EQ(report.groups_in_several_folds, 0u);
  // As balanced as can be: many groups hold a single sample, so the greedy rule ends within one of even
  // (scikit-learn 1.9's GroupKFold(5) gives 4741, 4741, 4741, 4740, 4740 too).
  EXPECT_EQ(std::multiset<std::size_t>(report.sizes.begin(), report.sizes.end()),
            (std::multiset<std::size_t>{4740, 4740, 4741, 4741, 4741}));
  EXPECT_EQ(report.num_groups.size(), 5u);
}

TEST(GroupKFold, IsNeverWorseThanTheLargestGroupAllows) {
  std::mt19937 random(5);
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<std::int32_t> groups(50 + random() % 500);
    for (auto& group : groups) group = static_cast<std::int32_t>(random() % 40 * (random() % 3));
    const int folds = 2 + static_cast<int>(random() % 5);

    const auto report = inspect_folds(make_group_k_fold(groups, folds, 1), folds, groups);

    EXPECT_EQ(report.groups_in_several_folds, 0u);
    std::map<std::int32_t, std::size_t> sizes;
    for (const auto group : groups) ++sizes[group];
    std::size_t largest = 0;
    for (const auto& [group, size] : sizes) largest = std::max(largest, size);
    // Giving each group to the smallest fold never lets folds differ by more than one group.
    const auto [least, most] = std::minmax_element(report.sizes.begin(), report.sizes.end());
    EXPECT_LE(*most - *least, largest);
  }
}

TEST(GroupKFold, BreaksTiesByItsSeed) {
  std::vector<std::int32_t> groups(60);
  for (std::size_t i = 0; i < groups.size(); ++i) groups[i] = static_cast<std::int32_t>(i / 2);

  EXPECT_EQ(make_group_k_fold(groups, 3, 1), make_group_k_fold(groups, 3, 1));
  EXPECT_NE(make_group_k_fold(groups, 3, 1), make_group_k_fold(groups, 3, 2));
}

TEST(GroupKFold, RefusesMoreFoldsThanGroups) {
  const std::vector<std::int32_t> groups = {0, 0, 1, 2, 2};
  EXPECT_NE(refusal_of([&] { make_group_k_fold(groups, 5, 0); }).find("more folds (5) than groups (3)"),
            std::string::npos);
}

TEST(InspectFolds, CountsGroupsThatStraddleFolds) {
  const std::vector<std::int32_t> groups = {0, 0, 1, 1, 2, 2};

  const auto report = inspect_folds({0, 1, 1, 1, 0, 1}, 2, groups);

  EXPECT_EQ(report.sizes, (std::vector<std::size_t>{2, 4}));
  EXPECT_EQ(report.num_groups, (std::vector<std::size_t>{2, 3}));
  EXPECT_EQ(report.groups_in_several_folds, 2u);
}

TEST(InspectFolds, RefusesAnEmptyFoldAndANumberOutOfRange) {
  EXPECT_NE(refusal_of([] { inspect_folds({0, 2, 2}, 3, {}); }).find("fold 1 of 3 has no samples"), std::string::npos);
  EXPECT_NE(refusal_of([] { inspect_folds({0, 1, 3}, 3, {}); }).find("sample 3 is in fold 3"), std::string::npos);
  EXPECT_NE(refusal_of([] { inspect_folds({0, -1, 1}, 2, {}); }).find("sample 2 is in fold -1"), std::string::npos);
}

class FoldsCsv : public ::testing::Test {
 protected:
  std::filesystem::path file() const { return directory_.path() / "folds.csv"; }
  std::vector<std::string> ids_ = {"a", "with,comma", "with \"quote\"", "d"};
  TemporaryDirectory directory_;
};

TEST_F(FoldsCsv, ComesBackAsItWasWritten) {
  const FoldAssignment folds = {2, 0, 1, 2};
  write_folds_csv(file(), ids_, folds);

  EXPECT_EQ(read_folds_csv(file(), ids_), folds);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory_.path()), {}), 1)
      << "a temporary file was left";
}

TEST_F(FoldsCsv, IsRefusedForOtherIdsOrAnotherOrder) {
  write_folds_csv(file(), ids_, {2, 0, 1, 2});
  auto swapped = ids_;
  std::swap(swapped[1], swapped[3]);
  auto longer = ids_;
  longer.push_back("e");

  const auto message = refusal_of([&] { read_folds_csv(file(), swapped); });
  EXPECT_NE(message.find("row 2 (line 3), column 'id'"), std::string::npos) << message;
  EXPECT_NE(refusal_of([&] { read_folds_csv(file(), longer); }).find("4 rows for 5 samples"), std::string::npos);
}

TEST_F(FoldsCsv, IsRefusedForAFoldThatIsNoWholeNumber) {
  for (const char* fold : {"1.5", "-1", "x", "", "40000"}) {
    std::ofstream(file()) << "id,fold\na,0\nb," << fold << "\n";
    const auto message = refusal_of([&] { read_folds_csv(file(), std::vector<std::string>{"a", "b"}); });
    EXPECT_NE(message.find("row 2 (line 3), column 'fold'"), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace meshfold::data
