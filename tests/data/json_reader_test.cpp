#include "data/json_reader.hpp"

#include <gtest/gtest.h>

#include <string>

#include "data/turns.hpp"
#include "tests/data/oracle_file.hpp"

namespace meshfold::data {
namespace {

bool is_json(std::string_view text) {
  try {
    JsonReader reader(text);
    reader.skip();
    return reader.at_end();
  } catch (const JsonError& error) {
    EXPECT_LE(error.at(), text.size());
    return false;
  }
}

TEST(JsonReader, AcceptsWhatPythonsJsonModuleAccepts) {
  OracleFile expected(oracle_directory("json_text") / "documents.bin");
  std::size_t num_good = 0, num_bad = 0;
  while (!expected.at_end()) {
    const std::string text = expected.text();
    const bool good = expected.number() != 0;

    ASSERT_EQ(is_json(text), good) << text;

    ++(good ? num_good : num_bad);
  }
  EXPECT_GT(num_good, 2000u);
  EXPECT_GT(num_bad, 2000u);
}

TEST(JsonReader, TakesNestingOfAnyDepth) {
  constexpr std::size_t kDepth = 1'000'000;

  EXPECT_TRUE(is_json(std::string(kDepth, '[') + std::string(kDepth, ']')));
  EXPECT_FALSE(is_json(std::string(kDepth, '[') + std::string(kDepth - 1, ']')));
}

TEST(JsonReader, RefusesIllFormedUtf8InStrings) {
  for (const char* bad : {"\"\x80\"", "\"\xC1\xBF\"", "\"\xED\xA0\x80\"", "\"\xF4\x90\x80\x80\"", "\"\xE2\x82\""}) {
    EXPECT_FALSE(is_json(bad)) << bad;
  }
  EXPECT_TRUE(is_json("\"\xED\x9F\xBF\xEE\x80\x80\xF4\x8F\xBF\xBF\""));
}

TEST(Turns, AreReadAsPythonsJsonModuleReadsThem) {
  OracleFile expected(oracle_directory("json_text") / "turns.bin");
  std::size_t num_good = 0, num_bad = 0;
  while (!expected.at_end()) {
    const std::string cell = expected.text();
    if (expected.number() == 0) {
      ASSERT_THROW(read_turns(cell), JsonError) << cell;
      ++num_bad;
      continue;
    }
    const auto turns = read_turns(cell);
    ASSERT_EQ(turns.size(), expected.number()) << cell;
    for (const std::string& turn : turns) ASSERT_EQ(turn, expected.text()) << cell;
    ++num_good;
  }
  EXPECT_GT(num_good, 2000u);
  EXPECT_GT(num_bad, 500u);
}

TEST(Turns, BecomeOneTextAsAsked) {
  const auto turns = read_turns(R"(["first", null, "last"])");

  EXPECT_EQ(choose_turns(turns, Turns::kFirst, "|"), "first");
  EXPECT_EQ(choose_turns(turns, Turns::kLast, "|"), "last");
  EXPECT_EQ(choose_turns(turns, Turns::kAll, "|"), "first||last");
  EXPECT_EQ(choose_turns({"alone"}, Turns::kAll, "|"), "alone");
  for (const auto which : {Turns::kFirst, Turns::kLast, Turns::kAll}) EXPECT_EQ(choose_turns({}, which, "|"), "");
}

TEST(Turns, SaysWhereAndWhyACellIsNoListOfTurns) {
  const auto complaint = [](std::string_view cell) -> std::string {
    try {
      read_turns(cell);
    } catch (const JsonError& error) {
      return std::to_string(error.at()) + ": " + error.what();
    }
    return "accepted";
  };

  EXPECT_EQ(complaint("plain"), "0: a value is missing; here is 'p'");
  EXPECT_EQ(complaint("\"text\""),
            "0: no JSON list of turns; a column of plain text needs data.turns = none, or data.turn_columns that leave "
            "it out");
  EXPECT_EQ(complaint(R"(["a", 2])"), "6: turn 2 is neither a string nor null");
  EXPECT_EQ(complaint("['a']"),
            "1: JSON strings are in double quotes; a list of Python has to be written by json.dumps");
  EXPECT_EQ(complaint(R"(["a" "b"])"), "5: ',' or ']' is missing; here is '\"'");
  EXPECT_EQ(complaint(R"(["a)"), "3: the text ends inside a string");
  EXPECT_EQ(complaint(R"(["a"] [])"), "6: more text behind the list of turns");
}

}  // namespace
}  // namespace meshfold::data
