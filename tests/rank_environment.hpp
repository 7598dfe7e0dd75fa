#pragma once

#include <gtest/gtest.h>

#include "dist/environment.hpp"

namespace meshfold::tests {

/// The environment that rank_main.cpp made for this process; its deadline is 60 s.
dist::Environment& rank_environment();

/// A fixture for tests that mean something on `num_ranks` ranks only; a run on another number skips them visibly. A run
/// in which every test is skipped fails.
///
///     using OnTwoRanks = meshfold::tests::RanksTest<2>;
///     TEST_F(OnTwoRanks, ...)
template <int num_ranks>
class RanksTest : public testing::Test {
 protected:
  void SetUp() override {
    const int size = rank_environment().size();
    if (size != num_ranks) GTEST_SKIP() << "needs " << num_ranks << " ranks, this run has " << size;
  }
};

/// The same for tests that need at least `num_ranks`.
template <int num_ranks>
class AtLeastRanksTest : public testing::Test {
 protected:
  void SetUp() override {
    const int size = rank_environment().size();
    if (size < num_ranks) GTEST_SKIP() << "needs at least " << num_ranks << " ranks, this run has " << size;
  }
};

}  // namespace meshfold::tests
