#include "jobs/results/submission.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "data/error.hpp"
#include "tests/data/temporary_directory.hpp"

namespace meshfold::jobs {
namespace {

const std::vector<std::string> kLabels{"mean", "sd"};
const std::vector<std::string> kTestIds{"t1", "t2", "t,3"};

std::string contents_of(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

class Submission : public testing::Test {
 protected:
  std::filesystem::path sample(const std::string& contents) {
    const auto file = temporary_.path() / "sample.csv";
    std::ofstream(file, std::ios::binary) << contents;
    return file;
  }
  std::string error_of(const std::string& contents) {
    const auto file = sample(contents);
    try {
      read_submission_format(file, "id", kLabels, kTestIds);
    } catch (const data::InputError& error) {
      return error.what();
    }
    return "no error";
  }

  TemporaryDirectory temporary_;
};

TEST_F(Submission, HasTheHeaderAndTheColumnOrderOfTheSample) {
  const auto format =
      read_submission_format(sample("id,sd,mean\nt1,0,0\nt2,0,0\n\"t,3\",0,0\n"), "id", kLabels, kTestIds);
  const auto file = temporary_.path() / "submission.csv";

  write_submission(file, format, kTestIds, at::tensor({1.0F, 0.1F, -2.5F, 1e-9F, 3.0F, 100.0F}).reshape({3, 2}));

  EXPECT_EQ(contents_of(file), "id,sd,mean\nt1,0.1,1\nt2,1e-09,-2.5\n\"t,3\",100,3\n");
}

TEST_F(Submission, TakesAJsonLinesSampleTooWithItsKeysAsTheHeader) {
  const auto file = temporary_.path() / "sample.jsonl";
  std::ofstream(file) << "{\"id\": \"t1\", \"sd\": 0, \"mean\": 0}\n{\"id\": \"t2\"}\n{\"id\": \"t,3\"}\n";

  const auto format = read_submission_format(file, "id", kLabels, kTestIds);

  EXPECT_EQ(format.header, (std::vector<std::string>{"id", "sd", "mean"}));
  EXPECT_EQ(format.outputs, (std::vector<std::int64_t>{1, 0}));
}

TEST_F(Submission, HasIdAndLabelsWithoutASample) {
  const auto format = default_submission_format("key", kLabels);

  EXPECT_EQ(format.header, (std::vector<std::string>{"key", "mean", "sd"}));
  EXPECT_EQ(format.outputs, (std::vector<std::int64_t>{0, 1}));
}

TEST_F(Submission, NamesTheFirstRowWhoseIdDiffersFromTheTestTable) {
  const auto swapped = error_of("id,mean,sd\nt2,0,0\nt1,0,0\n\"t,3\",0,0\n");

  EXPECT_NE(swapped.find("row 1"), std::string::npos) << swapped;
  EXPECT_NE(swapped.find("id 't2' where the test table has 't1'"), std::string::npos) << swapped;
}

TEST_F(Submission, NoticesMissingAndExtraRows) {
  EXPECT_NE(error_of("id,mean,sd\nt1,0,0\nt2,0,0\n").find("goes on with id 't,3'"), std::string::npos);
  EXPECT_NE(error_of("id,mean,sd\nt1,0,0\nt2,0,0\n\"t,3\",0,0\nt4,0,0\n").find("id 't4' is beyond the 3 rows"),
            std::string::npos);
}

TEST_F(Submission, NamesColumnsThatTheModelLacksOrTheSampleLacks) {
  const auto unknown = error_of("id,mean,sdd\n");
  const auto missing = error_of("id,mean\n");
  const auto no_id = error_of("key,mean,sd\n");

  EXPECT_NE(unknown.find("did you mean 'sd'?"), std::string::npos) << unknown;
  EXPECT_NE(missing.find("column 'sd'"), std::string::npos) << missing;
  EXPECT_NE(no_id.find("must be the id column 'id'"), std::string::npos) << no_id;
}

TEST_F(Submission, OutOfFoldTableHasIdFoldTargetsAndPredictionsInInputOrder) {
  models::HeadConfig head;
  head.labels = kLabels;
  const std::vector<std::string> ids{"a", "b"};
  const auto file = temporary_.path() / "oof.csv";

  write_out_of_fold(file, "id", ids, {1, 0}, head, kLabels, at::tensor({1.0F, 2.0F, 3.0F, 4.0F}).reshape({2, 2}),
                    at::tensor({0.5F, 1.5F, 2.5F, 3.5F}).reshape({2, 2}));

  EXPECT_EQ(contents_of(file), "id,fold,mean,sd,pred_mean,pred_sd\na,1,1,2,0.5,1.5\nb,0,3,4,2.5,3.5\n");
}

TEST_F(Submission, OutOfFoldTableOfClassesShowsTheirNames) {
  models::HeadConfig head;
  head.task = models::Task::kClassification;
  head.labels = {"no", "yes"};
  const std::vector<std::string> ids{"a"}, targets{"answer"};
  const auto file = temporary_.path() / "oof.csv";

  write_out_of_fold(file, "id", ids, {0}, head, targets, at::ones({1, 1}), at::tensor({0.25F, 0.75F}).reshape({1, 2}));

  EXPECT_EQ(contents_of(file), "id,fold,answer,pred_no,pred_yes\na,0,yes,0.25,0.75\n");
}

}  // namespace
}  // namespace meshfold::jobs
