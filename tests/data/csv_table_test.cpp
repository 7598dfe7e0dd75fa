#include "data/csv_table.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>

#include "data/error.hpp"
#include "tests/data/oracle_file.hpp"

namespace meshfold::data {
namespace {

/// A CSV file that lives as long as the test.
class CsvTableTest : public ::testing::Test {
 protected:
  std::filesystem::path write(std::string_view text) {
    std::ofstream(file_, std::ios::binary) << text;
    return file_;
  }
  CsvTable table(std::string_view text) { return CsvTable::open(write(text)); }
  /// What the program says about a bad file, without the file's name.
  std::string complaint(std::string_view text) {
    return complaint_of([&] { table(text); });
  }
  std::string complaint_of(const std::function<void()>& action) {
    try {
      action();
    } catch (const InputError& error) {
      const std::string words = error.what();
      EXPECT_TRUE(words.starts_with(file_.string())) << words;
      EXPECT_EQ(words.find('\n'), std::string::npos) << words;
      return words.substr(std::min(words.size(), file_.string().size()));
    }
    ADD_FAILURE() << "accepted";
    return {};
  }
  void TearDown() override { std::filesystem::remove(file_); }

  std::filesystem::path file_ =
      std::filesystem::path(::testing::TempDir()) /
      (std::string("meshfold_csv_") + ::testing::UnitTest::GetInstance()->current_test_info()->name() + ".csv");
};

TEST_F(CsvTableTest, ReadsWhatPythonsCsvModuleReads) {
  OracleFile expected(oracle_directory("csv_table") / "tables.bin");
  std::size_t num_tables = 0;
  std::size_t num_cells = 0;
  for (; !expected.at_end(); ++num_tables) {
    const std::string file = expected.text();
    const CsvTable table = CsvTable::open(file);
    const std::size_t num_rows = expected.number();
    const std::size_t num_columns = expected.number();
    ASSERT_EQ(table.num_rows(), num_rows) << file;
    ASSERT_EQ(table.columns().size(), num_columns) << file;
    expected.number();  // the header's line
    for (std::size_t column = 0; column < num_columns; ++column) {
      ASSERT_EQ(table.columns()[column], expected.text()) << file;
    }
    for (std::size_t row = 0; row < num_rows; ++row) {
      ASSERT_EQ(table.line_of(row), expected.number()) << file << " row " << row;
      for (std::size_t column = 0; column < num_columns; ++column, ++num_cells) {
        ASSERT_EQ(table.cell(row, column), expected.text()) << file << " row " << row << " column " << column;
      }
    }
  }
  EXPECT_EQ(num_tables, 401u);
  EXPECT_GT(num_cells, 250'000u);
}

TEST_F(CsvTableTest, SkipsTheByteOrderMarkAndBlankLinesAtTheEnd) {
  const CsvTable with_both = table("\xEF\xBB\xBF\"a,b\",c\r\n1,\r\n\r\n\n");

  EXPECT_EQ(with_both.columns(), (std::vector<std::string>{"a,b", "c"}));
  ASSERT_EQ(with_both.num_rows(), 1u);
  EXPECT_EQ(with_both.cell(0, 1), "");
}

TEST_F(CsvTableTest, SaysWhereTheTextIsWrong) {
  EXPECT_EQ(complaint(""), ": no header; the first line must name the columns");
  EXPECT_EQ(complaint("\n\n"), ": no header; the first line must name the columns");
  EXPECT_EQ(complaint("a,b,a\n"), ", line 1, column 'a': the header names this column twice; rename one of them");
  EXPECT_EQ(complaint("a,b\n1,2\n1,2,3\n"),
            ", row 2 (line 3): has 3 fields, the header has 2; quote fields that hold commas or line breaks");
  EXPECT_EQ(complaint("a,b\n\n1,2\n"),
            ", row 1 (line 2): has 1 field, the header has 2; quote fields that hold commas or line breaks");
  EXPECT_EQ(complaint("a,b\n\"1\n\",2\n1,\"x\n\ny"),
            ", row 2 (line 4), column 'b': the quote that opens here is never closed");
  EXPECT_EQ(complaint("a,b\n1,\"x\"y\n"),
            ", row 1 (line 2), column 'b': text after the closing quote of a field; double the quotes inside it");
  EXPECT_EQ(
      complaint("a,b\nx\"y,1\n"),
      ", row 1 (line 2), column 'a': a quote inside an unquoted field; quote the whole field and double the quote");
  EXPECT_EQ(complaint("a,b\n1,\"x\ny\xFF\"\n"),
            ", row 1 (line 3), column 'b': invalid UTF-8 at byte offset 10; convert the file to UTF-8");
  EXPECT_EQ(complaint("a,b\n1\r2,3\n"),
            ", row 1 (line 2), column 'a': a carriage return without a line feed; end lines with LF or CRLF, or quote "
            "the field");
  EXPECT_EQ(complaint(std::string_view("a,b\n1,\0\n", 8)),
            ", row 1 (line 2), column 'b': a NUL byte; the file must be UTF-8 text (UTF-16 must be converted)");
}

TEST_F(CsvTableTest, RefusesEveryKindOfIllFormedUtf8) {
  for (const std::string bad : {"\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF",
                                "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xE2\x82", "\xC3"}) {
    EXPECT_NE(complaint("a\n" + bad).find("invalid UTF-8"), std::string::npos);
    EXPECT_NE(complaint("a\n\"" + bad + "\"\n").find("invalid UTF-8"), std::string::npos);
  }
  EXPECT_EQ(table("a\n\xED\x9F\xBF\xEE\x80\x80\xF4\x8F\xBF\xBF\n").num_rows(), 1u);
}

TEST_F(CsvTableTest, NamesTheNearestOfTheColumnsForAWrongName) {
  const CsvTable people = table("id,text,score\n1,x,2\n");

  EXPECT_EQ(people.column("score"), 2u);
  EXPECT_FALSE(people.find_column("Score"));
  EXPECT_EQ(complaint_of([&] { people.column("txet"); }),
            ", column 'txet': no such column; did you mean 'text'? the columns are id, text, score");
}

TEST_F(CsvTableTest, ReadsFiniteDecimalNumbersOnly) {
  const CsvTable numbers = table("n\n-1.5e-3\n\" 1\"\n\"\"\nnan\n1e999\n0x10\n7\n");

  EXPECT_EQ(numbers.number(0, 0), -1.5e-3);
  EXPECT_EQ(numbers.number(6, 0), 7.0);
  EXPECT_EQ(complaint_of([&] { numbers.number(1, 0); }),
            ", row 2 (line 3), column 'n': ' 1' is not a number like -1.5 or 2e-3");
  EXPECT_EQ(complaint_of([&] { numbers.number(2, 0); }),
            ", row 3 (line 4), column 'n': empty; a number is needed here");
  for (const std::size_t row : {3u, 4u, 5u}) EXPECT_THROW(numbers.number(row, 0), InputError);
}

TEST_F(CsvTableTest, NamesAFileThatCannotBeOpened) {
  EXPECT_EQ(complaint_of([&] { CsvTable::open(file_); }), ": cannot be opened: No such file or directory");
  try {
    CsvTable::open(::testing::TempDir());
    ADD_FAILURE() << "a directory was accepted";
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("not a regular file"), std::string::npos);
  }
}

TEST_F(CsvTableTest, ReadsBackEveryFieldThatItWrites) {
  const std::vector<std::string> values = {"plain",      "",   " lead",      "trail\t", "a,b",
                                           "say \"hi\"", "\"", "two\nlines", "cr\r",    "é"};
  std::string text = "key,value\n";
  for (const std::string& value : values) text += "k," + csv_field(value) + "\n";

  const CsvTable read_back = table(text);

  ASSERT_EQ(read_back.num_rows(), values.size());
  for (std::size_t row = 0; row < values.size(); ++row) EXPECT_EQ(read_back.cell(row, 1), values[row]);
  EXPECT_EQ(csv_field("plain"), "plain");
  EXPECT_EQ(csv_field(" x"), "\" x\"");
}

}  // namespace
}  // namespace meshfold::data
