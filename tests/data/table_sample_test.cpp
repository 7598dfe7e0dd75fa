#include "data/table_sample.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <set>
#include <string>

#include "tests/data/temporary_directory.hpp"

namespace meshfold::data {
namespace {

/// 500 rows: row r has the id "i<r>"; the class is "rare" in row 321 alone; the fold is r % 3.
class TableSampleTest : public testing::Test {
 protected:
  TableSampleTest() {
    std::ofstream out(file_);
    out << "id,class,fold\n";
    for (int row = 0; row < 500; ++row)
      out << 'i' << row << ',' << (row == 321 ? "rare" : "usual") << ',' << row % 3 << '\n';
  }
  std::unique_ptr<const Table> sample(std::size_t count, std::uint32_t seed,
                                      std::span<const std::size_t> covered = {}) {
    return sample_rows(open_table(file_), count, seed, covered);
  }
  static std::vector<std::string> values_of(const Table& table, std::size_t column) {
    std::vector<std::string> values;
    for (std::size_t row = 0; row < table.num_rows(); ++row) values.push_back(table.cell(row, column));
    return values;
  }

  TemporaryDirectory directory_;
  std::filesystem::path file_ = directory_.path() / "table.csv";
};

TEST_F(TableSampleTest, HasDistinctRowsInTheOrderOfTheFile) {
  const auto table = sample(100, 42);

  ASSERT_EQ(table->num_rows(), 100U);
  for (std::size_t row = 1; row < 100; ++row) EXPECT_LT(table->row_of_file(row - 1), table->row_of_file(row));
  for (std::size_t row = 0; row < 100; ++row) {
    EXPECT_EQ(table->cell(row, 0), "i" + std::to_string(table->row_of_file(row)));
  }
}

TEST_F(TableSampleTest, FollowsTheSeedAndGrowsWithoutLosingRows) {
  const auto small = values_of(*sample(50, 42), 0), large = values_of(*sample(100, 42), 0);
  const std::set<std::string> in_large(large.begin(), large.end());

  EXPECT_EQ(small, values_of(*sample(50, 42), 0));
  EXPECT_NE(small, values_of(*sample(50, 43), 0));
  for (const auto& id : small) EXPECT_TRUE(in_large.contains(id)) << id;
}

TEST_F(TableSampleTest, KeepsARowOfEachValueOfTheCoveredColumns) {
  const std::array<std::size_t, 2> covered = {1, 2};
  const auto table = sample(5, 42, covered);
  const auto classes = values_of(*table, 1), folds = values_of(*table, 2);

  EXPECT_EQ(table->num_rows(), 5U);
  EXPECT_EQ(std::set<std::string>(classes.begin(), classes.end()).size(), 2U);
  EXPECT_EQ(std::set<std::string>(folds.begin(), folds.end()).size(), 3U);
  EXPECT_EQ(std::ranges::count(values_of(*sample(5, 42), 1), "rare"), 0) << "else the test shows nothing";
}

TEST_F(TableSampleTest, OfMoreRowsThanThereAreIsTheWholeTable) { EXPECT_EQ(sample(500, 1)->num_rows(), 500U); }

TEST_F(TableSampleTest, NamesRowsAndLinesOfTheFile) {
  const auto table = sample(100, 42);
  const InputPlace place = table->place(99, 0);

  EXPECT_EQ(place.row, table->row_of_file(99) + 1);
  EXPECT_EQ(place.line, table->row_of_file(99) + 2);
  EXPECT_EQ(place.file, file_.string());
}

}  // namespace
}  // namespace meshfold::data
