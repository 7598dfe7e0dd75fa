#include "jobs/prepare/text_views.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <functional>

#include "jobs/error.hpp"
#include "tests/data/temporary_directory.hpp"

namespace meshfold::jobs {
namespace {

class TextViewsTest : public ::testing::Test {
 protected:
  void open(std::string_view text, const char* name = "table.csv") {
    const auto file = directory_.path() / name;
    std::ofstream(file, std::ios::binary) << text;
    table_ = data::open_table(file);
  }
  std::vector<std::string> texts(std::size_t row) const {
    const TextViews views(*table_, roles_);
    std::vector<std::string> texts;
    for (std::uint32_t view = 0; view < views.num_views(); ++view) texts.push_back(views.text(row, view));
    return texts;
  }
  std::string complaint(std::size_t row) const {
    try {
      texts(row);
    } catch (const data::InputError& error) {
      const std::string words = error.what();
      return words.substr(words.find(", "));
    }
    return "accepted";
  }

  TemporaryDirectory directory_;
  std::unique_ptr<const data::Table> table_;
  DataSection roles_;
};

using Texts = std::vector<std::string>;

TEST_F(TextViewsTest, AreTheColumnsOrWhatTheTemplatesMakeOfThem) {
  open("id,prompt,a,b\n1,Why?,Because.,No idea\n");
  roles_.texts = {"prompt", "a", "b"};
  EXPECT_EQ(texts(0), (Texts{"Why?", "Because.", "No idea"}));

  roles_.texts = {"a", "b"};
  roles_.templates = "{prompt}\\n{}";
  EXPECT_EQ(texts(0), (Texts{"Why?\nBecause.", "Why?\nNo idea"}));

  roles_.texts = {};
  roles_.text = "prompt";
  roles_.templates = "";
  EXPECT_EQ(texts(0), (Texts{"Why?"}));
}

TEST_F(TextViewsTest, ChooseTurnsInTheColumnsThatHoldThem) {
  open("id,title,talk\n1,T,\"[\"\"one\"\", null, \"\"\\ud83d\\ude42 \\ud83d\"\"]\"\n");
  roles_.templates = "{title}: {talk}";
  roles_.turn_columns = {"talk"};
  roles_.turns = data::Turns::kAll;
  roles_.turn_joiner = "\\n";
  EXPECT_EQ(texts(0), (Texts{"T: one\n\n🙂 "}));

  roles_.turns = data::Turns::kFirst;
  EXPECT_EQ(texts(0), (Texts{"T: one"}));
  roles_.turns = data::Turns::kRaw;
  EXPECT_EQ(texts(0), (Texts{"T: [\"one\", null, \"\\ud83d\\ude42 \\ud83d\"]"}));
}

TEST_F(TextViewsTest, AreTheSameFromAListInJsonAndFromItsTextInCsv) {
  open("{\"talk\": [\"one\", null, \"two\"]}\n{\"talk\": \"[\\\"x\\\"]\"}\n{\"talk\": null}\n{}\n", "table.jsonl");
  roles_.text = "talk";
  roles_.turns = data::Turns::kLast;
  roles_.empty_text = EmptyText::kKeep;

  EXPECT_EQ(texts(0), Texts{"two"});
  EXPECT_EQ(texts(1), Texts{"x"});
  EXPECT_EQ(texts(2), Texts{""});
  EXPECT_EQ(texts(3), Texts{""});
  roles_.turns = data::Turns::kNone;
  EXPECT_EQ(complaint(0),
            ", row 1 (line 1), column 'talk': a JSON list where one text, number, true, false or null is needed");
}

TEST_F(TextViewsTest, NamesRowAndColumnOfAMalformedListOfTurns) {
  open("id,talk\n1,\"[\"\"a\"\"]\"\n2,\"['a']\"\n3,\"[\"\"a\"\"\"\n");
  roles_.text = "talk";
  roles_.turns = data::Turns::kAll;

  EXPECT_EQ(texts(0), Texts{"a"});
  EXPECT_EQ(complaint(1),
            ", row 2 (line 3), column 'talk': byte 2 of the cell: JSON strings are in double quotes; a list of Python "
            "has to be written by json.dumps; turns are a list like [\"Hello\", null, \"Bye\"]");
  EXPECT_TRUE(complaint(2).starts_with(", row 3 (line 4), column 'talk': byte 5 of the cell: ',' or ']' is missing"))
      << complaint(2);
}

TEST_F(TextViewsTest, AreEmptyOnlyIfAllTheirColumnsAre) {
  open("id,a,b,pair\n1,x, ,\n2, ,,p\n");
  roles_.templates = "[{a}{b}]";
  EXPECT_EQ(texts(0), Texts{"[x ]"});
  EXPECT_EQ(complaint(1), ", row 2 (line 3), column 'a': empty text; remove the row or set data.empty_text = keep");

  roles_.empty_text = EmptyText::kKeep;
  EXPECT_EQ(texts(1), Texts{"[ ]"});
  roles_.empty_text = EmptyText::kError;
  roles_.text_pair = "pair";
  EXPECT_EQ(TextViews(*table_, roles_).pair(1), "p");
  EXPECT_THROW(TextViews(*table_, roles_).pair(0), data::InputError);
}

TEST_F(TextViewsTest, NamesAMissingColumnAndTheNearest) {
  open("id,prompt\n1,x\n");
  roles_.templates = "{promt}";

  EXPECT_NE(complaint(0).find("column 'promt': no such column; did you mean 'prompt'?"), std::string::npos);
  roles_.templates = "{prompt";
  EXPECT_THROW(TextViews(*table_, roles_), ConfigError);
}

}  // namespace
}  // namespace meshfold::jobs
