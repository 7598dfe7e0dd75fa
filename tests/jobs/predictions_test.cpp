#include "jobs/results/prediction_table.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <iterator>
#include <sstream>

#include "tests/data/temporary_directory.hpp"

namespace meshfold::jobs {
namespace {

models::HeadConfig head_of_task(models::Task task) {
  models::HeadConfig head;
  head.task = task;
  head.labels = {"a", "b"};
  return head;
}

TEST(Predictions, AreProbabilitiesForClassesAndTheOutputsThemselvesForValues) {
  const auto outputs = at::tensor({0.0F, std::log(3.0F)}).reshape({1, 2});

  const auto values = to_values(head_of_task(models::Task::kRegression), outputs);
  const auto probabilities = to_values(head_of_task(models::Task::kClassification), outputs);

  EXPECT_TRUE(at::equal(values, outputs));
  EXPECT_TRUE(at::allclose(probabilities, at::tensor({0.25F, 0.75F}).reshape({1, 2})));
}

TEST(Predictions, AreClippedOnTheSidesThatAreSetAndOnlyForRegression) {
  const auto values = at::tensor({-2.0F, 5.0F}).reshape({1, 2});
  const auto regression = head_of_task(models::Task::kRegression);

  EXPECT_TRUE(at::equal(clip_values(regression, values, -1.0, 2.0), at::tensor({-1.0F, 2.0F}).reshape({1, 2})));
  EXPECT_TRUE(at::equal(clip_values(regression, values, {}, 2.0), at::tensor({-2.0F, 2.0F}).reshape({1, 2})));
  EXPECT_TRUE(at::equal(clip_values(head_of_task(models::Task::kClassification), values, -1.0, 2.0), values));
}

TEST(Predictions, ReadBackAsTheSameFloats) {
  const TemporaryDirectory temporary;
  const auto file = temporary.path() / "predictions.csv";
  const std::vector<std::string> ids{"one, two", "three"}, labels{"x"};
  const std::vector<float> numbers{1.0F / 3.0F, -1.17549435e-38F};

  write_predictions(file, "id", ids, labels, at::tensor(numbers).reshape({2, 1}));

  std::ifstream stream(file);
  std::string header, first, second;
  std::getline(stream, header);
  std::getline(stream, first);
  std::getline(stream, second);
  EXPECT_EQ(header, "id,pred_x");
  EXPECT_EQ(first.substr(0, 11), "\"one, two\",");
  EXPECT_EQ(std::stof(first.substr(11)), numbers[0]);
  EXPECT_EQ(std::strtof(second.c_str() + 6, nullptr), numbers[1]);
}

}  // namespace
}  // namespace meshfold::jobs
