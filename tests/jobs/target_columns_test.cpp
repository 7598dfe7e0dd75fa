#include "jobs/prepare/target_columns.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "jobs/error.hpp"
#include "tests/data/temporary_directory.hpp"

namespace meshfold::jobs {
namespace {

class TargetColumnsTest : public ::testing::Test {
 protected:
  void open(std::string_view text, const char* name = "table.csv") {
    const auto file = directory_.path() / name;
    std::ofstream(file, std::ios::binary) << text;
    table_ = data::open_table(file);
  }
  /// All rows' values one after the other, and the class names on the way.
  std::vector<float> values() {
    TargetColumns targets(*table_, config_.data, config_.model.task);
    targets.scan();
    class_names_ = targets.class_names();
    std::vector<float> values;
    for (std::size_t row = 0; row < table_->num_rows(); ++row) targets.append(row, values);
    return values;
  }
  std::string complaint() {
    try {
      values();
    } catch (const data::InputError& error) {
      const std::string words = error.what();
      return words.substr(words.find(", "));
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "accepted";
  }

  TemporaryDirectory directory_;
  std::unique_ptr<const data::Table> table_;
  RunConfig config_;
  std::vector<std::string> class_names_;
};

using Values = std::vector<float>;
using Names = std::vector<std::string>;

TEST_F(TargetColumnsTest, NumberTheClassesInTheOrderOfTheirBytes) {
  config_.model.task = models::Task::kClassification;
  config_.data.targets = {"winner"};
  open("winner\nb\n10\ntie\n2\nb\n");

  EXPECT_EQ(values(), (Values{2, 0, 3, 1, 2}));
  EXPECT_EQ(class_names_, (Names{"10", "2", "b", "tie"}));
}

TEST_F(TargetColumnsTest, NumberTheClassesAsTheyAreListed) {
  config_.model.task = models::Task::kClassification;
  config_.data.targets = {"winner"};
  config_.data.classes = {"model_a", "model_b", "tie"};
  open("winner\ntie\nmodel_a\n");

  EXPECT_EQ(values(), (Values{2, 0}));
  EXPECT_EQ(class_names_, config_.data.classes) << "also those that no row has";
  open("winner\ntie\nmodel_c\n");
  EXPECT_EQ(complaint(),
            ", row 2 (line 3), column 'winner': 'model_c' is none of data.classes; did you mean 'model_a'?");
}

TEST_F(TargetColumnsTest, TakeBooleansAndNumbersOfJsonAsClassNames) {
  config_.model.task = models::Task::kClassification;
  config_.data.targets = {"good"};
  open("{\"good\": true}\n{\"good\": false}\n{\"good\": 1}\n", "table.jsonl");

  EXPECT_EQ(values(), (Values{2, 1, 0}));
  EXPECT_EQ(class_names_, (Names{"1", "false", "true"}));
  open("{\"good\": true}\n{}\n", "table.jsonl");
  EXPECT_EQ(complaint(), ", row 2 (line 2), column 'good': empty class name; label the row or remove it");
}

TEST_F(TargetColumnsTest, ReadOneHotAndSoftLabelsAsShares) {
  config_.model.task = models::Task::kClassification;
  config_.data.targets = {"winner_a", "winner_b", "winner_tie"};
  open("winner_tie,winner_a,winner_b\n0,1,0\n0.2,0.5,0.3\n0.333,0.333,0.333\n");

  const Values third(3, 1.0F / 3.0F);
  EXPECT_EQ(values(), (Values{1, 0, 0, 0.5F, 0.3F, 0.2F, third[0], third[1], third[2]}));
  EXPECT_EQ(class_names_, config_.data.targets);
  config_.data.classes = {"a", "b", "tie"};
  values();
  EXPECT_EQ(class_names_, config_.data.classes);
  config_.data.classes = {"a", "b"};
  EXPECT_EQ(complaint(), "data.classes names 2 classes for 3 columns of data.targets; give one name a column, or none");
}

TEST_F(TargetColumnsTest, RefuseSharesThatDoNotAddUpToOne) {
  config_.model.task = models::Task::kClassification;
  config_.data.targets = {"a", "b"};

  open("a,b\n0.5,0.5\n0.5,0.52\n");
  EXPECT_EQ(complaint(),
            ", row 2 (line 3): the shares of the classes add up to 1.02 instead of 1; correct the row, or set "
            "model.task = multi_label if several labels can hold");
  open("a,b\n0,0\n");
  EXPECT_NE(complaint().find("add up to 0 instead of 1"), std::string::npos);
  open("a,b\n1.5,-0.5\n");
  EXPECT_EQ(complaint(), ", row 1 (line 2), column 'a': '1.5' is not between 0 and 1");
  open("a,b\n0.504,0.504\n0.995,0\n");
  EXPECT_EQ(complaint(), "accepted");
}

TEST_F(TargetColumnsTest, ReadALabelAColumn) {
  config_.model.task = models::Task::kMultiLabel;
  config_.data.targets = {"x", "y"};

  open("{\"x\": true, \"y\": 0.25}\n{\"x\": 0, \"y\": 1}\n", "table.jsonl");
  EXPECT_EQ(values(), (Values{1, 0.25F, 0, 1}));
  EXPECT_TRUE(class_names_.empty());
  open("x,y\n1,2\n");
  EXPECT_EQ(complaint(), ", row 1 (line 2), column 'y': '2' is not between 0 and 1");
}

TEST_F(TargetColumnsTest, ReadValuesOfARegressionAsTheyAre) {
  config_.data.targets = {"y", "x"};

  open("x,y\n-3,1e4\n");
  EXPECT_EQ(values(), (Values{1e4F, -3}));
  open("x,y\n1,1e200\n");
  EXPECT_EQ(complaint(), ", row 1 (line 2), column 'y': the number is too large for 32-bit floating point");
}

}  // namespace
}  // namespace meshfold::jobs
