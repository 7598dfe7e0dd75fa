#include "data/nearest_name.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace meshfold::data {
namespace {

const std::vector<std::string> kNames = {"train.batch_size", "train.epochs", "text", "test", "id"};

TEST(NearestName, FindsTheNameBehindATypingError) {
  EXPECT_EQ(nearest_name("train.bath_size", kNames), "train.batch_size");
  EXPECT_EQ(nearest_name("train.epoch", kNames), "train.epochs");
  EXPECT_EQ(nearest_name("txet", kNames), "text");  // two neighbours swapped are one error
}

TEST(NearestName, StaysSilentWhenNothingIsNear) {
  EXPECT_EQ(nearest_name("optimizer", kNames), std::nullopt);
  EXPECT_EQ(nearest_name("xy", kNames), std::nullopt);
  EXPECT_EQ(nearest_name("", kNames), std::nullopt);
  EXPECT_EQ(nearest_name("id", {}), std::nullopt);
}

TEST(NearestName, AcceptsErrorsUpToAThirdOfTheLongerLength) {
  const std::vector<std::string> names = {"abcdef"};

  EXPECT_EQ(nearest_name("abcdxy", names), "abcdef");
  EXPECT_EQ(nearest_name("abcxyz", names), std::nullopt);
}

TEST(NearestName, GivesTheFirstOfEquallyNearNames) {
  EXPECT_EQ(nearest_name("tet", std::vector<std::string>{"test", "text"}), "test");
  EXPECT_EQ(nearest_name("tet", std::vector<std::string>{"text", "test"}), "text");
}

}  // namespace
}  // namespace meshfold::data
