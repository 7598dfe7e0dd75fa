#include "data/json_lines_table.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <functional>

#include "data/csv_table.hpp"
#include "data/error.hpp"
#include "tests/data/oracle_file.hpp"
#include "tests/data/temporary_directory.hpp"

namespace meshfold::data {
namespace {

class JsonLinesTableTest : public ::testing::Test {
 protected:
  std::filesystem::path write(std::string_view text, const char* name = "table.jsonl") const {
    const auto file = directory_.path() / name;
    std::ofstream(file, std::ios::binary) << text;
    return file;
  }
  JsonLinesTable table(std::string_view text) const { return JsonLinesTable::open(write(text)); }
  /// What the program says about a bad file, without the file's name.
  std::string complaint(std::string_view text) const {
    return complaint_of([&] { table(text); });
  }
  std::string complaint_of(const std::function<void()>& action) const {
    try {
      action();
    } catch (const InputError& error) {
      const std::string words = error.what(), file = (directory_.path() / "table.jsonl").string();
      EXPECT_TRUE(words.starts_with(file)) << words;
      EXPECT_EQ(words.find('\n'), std::string::npos) << words;
      return words.substr(std::min(words.size(), file.size()));
    }
    ADD_FAILURE() << "accepted";
    return {};
  }

  TemporaryDirectory directory_;
};

TEST_F(JsonLinesTableTest, ReadsWhatPythonsJsonModuleReads) {
  OracleFile expected(oracle_directory("json_text") / "tables.bin");
  std::size_t num_tables = 0;
  for (; !expected.at_end(); ++num_tables) {
    const std::string file = expected.text();
    const auto table = open_table(file);
    ASSERT_EQ(table->num_rows(), expected.number()) << file;
    const std::size_t num_columns = expected.number();
    ASSERT_EQ(table->columns().size(), num_columns) << file;
    for (const std::string& column : table->columns()) ASSERT_EQ(column, expected.text()) << file;
    for (std::size_t row = 0; row < table->num_rows(); ++row) {
      ASSERT_EQ(table->line_of(row), expected.number()) << file << " row " << row;
      for (std::size_t column = 0; column < num_columns; ++column) {
        ASSERT_EQ(table->cell(row, column), expected.text()) << file << " row " << row << " column " << column;
      }
    }
  }
  EXPECT_EQ(num_tables, 200u);
}

TEST_F(JsonLinesTableTest, HoldsTheSameCellsAsTheCsvFileThatItWasMadeFrom) {
  const auto lines = open_table(oracle_directory("json_text") / "vader.jsonl");
  const auto csv = CsvTable::open(std::filesystem::path(std::getenv("MESHFOLD_TEST_DATA")) / "vader.csv");

  ASSERT_EQ(lines->columns(), csv.columns());
  ASSERT_EQ(lines->num_rows(), csv.num_rows());
  for (std::size_t row = 0; row < csv.num_rows(); ++row) {
    for (std::size_t column = 0; column < csv.columns().size(); ++column) {
      ASSERT_EQ(lines->cell(row, column), csv.cell(row, column)) << row << " " << column;
    }
  }
}

TEST_F(JsonLinesTableTest, KeepsTheTypeOfEachValue) {
  using Type = Cell::Type;
  const auto mixed = table(R"({"text": "a\u00e9", "number": 1.50, "yes": true, "none": null, "list": [1, {"a": "]"}]})"
                           "\n"
                           R"({"object": {"a": [{}]}, "text": ""})");
  const auto type = [&](std::size_t row, const char* column) { return mixed.read(row, mixed.column(column)).type; };

  EXPECT_EQ(type(0, "text"), Type::kText);
  EXPECT_EQ(type(0, "number"), Type::kNumber);
  EXPECT_EQ(type(0, "yes"), Type::kBoolean);
  EXPECT_EQ(type(0, "none"), Type::kNull);
  EXPECT_EQ(type(0, "list"), Type::kList);
  EXPECT_EQ(type(0, "object"), Type::kMissing);
  EXPECT_EQ(type(1, "object"), Type::kObject);
  EXPECT_EQ(mixed.cell(0, mixed.column("text")), "aé");
  EXPECT_EQ(mixed.cell(0, mixed.column("number")), "1.50") << "as it is written";
  EXPECT_EQ(mixed.read(0, mixed.column("list")).text, R"([1, {"a": "]"}])");
  EXPECT_EQ(mixed.cell(0, mixed.column("none")), "");
  EXPECT_EQ(mixed.cell(1, mixed.column("yes")), "");
  EXPECT_EQ(complaint_of([&] { mixed.cell(0, mixed.column("list")); }),
            ", row 1 (line 1), column 'list': a JSON list where one text, number, true, false or null is needed");
}

TEST_F(JsonLinesTableTest, ReadsNumbersBooleansAndNumbersInStrings) {
  const auto numbers = table(
      "{\"n\": -1.5e-3}\n{\"n\": \"7\"}\n{\"n\": true}\n{\"n\": false}\n{\"n\": null}\n{}\n"
      "{\"n\": [1]}\n{\"n\": 1e999}\n{\"n\": \"x\"}\n");

  EXPECT_EQ(numbers.number(0, 0), -1.5e-3);
  EXPECT_EQ(numbers.number(1, 0), 7.0);
  EXPECT_EQ(numbers.number(2, 0), 1.0);
  EXPECT_EQ(numbers.number(3, 0), 0.0);
  EXPECT_EQ(complaint_of([&] { numbers.number(4, 0); }), ", row 5 (line 5), column 'n': null; a number is needed here");
  EXPECT_EQ(complaint_of([&] { numbers.number(5, 0); }),
            ", row 6 (line 6), column 'n': the key is missing; a number is needed here");
  for (const std::size_t row : {6u, 7u, 8u}) EXPECT_THROW(numbers.number(row, 0), InputError);
}

TEST_F(JsonLinesTableTest, SaysWhereTheTextIsWrong) {
  EXPECT_EQ(complaint(""), ": no rows; each line must hold one JSON object");
  EXPECT_EQ(complaint(" \r\n\n"), ": no rows; each line must hold one JSON object");
  EXPECT_EQ(complaint("{\"a\": 1}\n\n[1]\n"),
            ", row 2 (line 3): a JSON list where a row must be an object; jq -c '.[]' turns a list of objects into "
            "lines");
  EXPECT_EQ(complaint("{\"a\": 1}\n7\n"),
            ", row 2 (line 2): each line must hold one JSON object, as {\"id\": 1, \"text\": \"...\"}");
  EXPECT_EQ(complaint("{\"a\": 1, \"b\": 2, \"a\": 3}\n"),
            ", row 1 (line 1), column 'a': the object has this key twice; remove one of them");
  EXPECT_EQ(complaint("{\"a\": 1, \"b\": }\n"),
            ", row 1 (line 1), column 'b': byte 15 of the line: a value is missing; here is '}'");
  EXPECT_EQ(complaint("{\"a\": 1}\n{\"a\": \"x\xFF\"}\n"),
            ", row 2 (line 2), column 'a': byte 9 of the line: invalid UTF-8; convert the file to UTF-8");
  EXPECT_EQ(complaint("{\"a\": NaN}\n"),
            ", row 1 (line 1), column 'a': byte 7 of the line: JSON has true, false and null, all in lower case, and "
            "no NaN or infinity");
  EXPECT_EQ(complaint("{\"a\": 1} {\"a\": 2}\n"),
            ", row 1 (line 1): byte 10 of the line: more text behind the object; write one object a line");
}

TEST_F(JsonLinesTableTest, TellsALastLineThatWasCutOffFromAnObjectOverSeveralLines) {
  const std::string good = "{\"a\": \"one\"}\r\n", last = "{\"a\": \"two\"}";
  for (std::size_t kept = 1; kept < last.size(); ++kept) {
    const std::string words = complaint(good + last.substr(0, kept));
    EXPECT_NE(words.find(", row 2 (line 2)"), std::string::npos) << words;
    EXPECT_TRUE(words.ends_with("the last line was cut off: fetch or write the file again")) << words;
  }
  EXPECT_EQ(table(good + last).num_rows(), 2u);
  EXPECT_EQ(complaint("{\n  \"a\": 1\n}\n"),
            ", row 1 (line 1): byte 2 of the line: a string in double quotes is missing; the text ends here; an object "
            "must end on the line that it begins on (jq -c writes it so)");
}

TEST_F(JsonLinesTableTest, IsToldFromCsvByNameAndElseByContent) {
  const std::string lines = "{\"a\": 1}\n", csv = "a\n{\"a\": 1}\n";
  const auto num_rows = [&](std::string_view text, const char* name) {
    return open_table(write(text, name))->num_rows();
  };

  for (const char* name : {"t.jsonl", "t.NDJSON", "t.json", "t.txt", "t"}) EXPECT_EQ(num_rows(lines, name), 1u) << name;
  EXPECT_EQ(num_rows("\xEF\xBB\xBF \n" + lines, "t"), 1u);
  EXPECT_EQ(num_rows("a\n1\n2\n", "t"), 2u);
  EXPECT_EQ(num_rows("{x}\n1\n2\n3\n", "t.csv"), 3u) << "a name ends every doubt";
  EXPECT_THROW(num_rows("a\n1\n", "t.jsonl"), InputError);
  EXPECT_THROW(num_rows(csv, "t.csv"), InputError) << "a quote inside an unquoted field";
}

TEST_F(JsonLinesTableTest, NamesTheNearestColumn) {
  const auto people = table("{\"id\": 1, \"text\": \"x\"}\n{\"score\": 2}\n");

  EXPECT_EQ(people.column("score"), 2u);
  EXPECT_EQ(complaint_of([&] { people.column("txet"); }),
            ", column 'txet': no such column; did you mean 'text'? the columns are id, text, score");
}

}  // namespace
}  // namespace meshfold::data
