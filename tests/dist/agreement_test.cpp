#include "dist/agreement.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

#include "dist/single_process_group.hpp"

namespace meshfold::dist {
namespace {

TEST(Agree, RunsTheRiskOnceInAGroupOfOne) {
  SingleProcessGroup group;
  int runs = 0;

  agree(group, "count", [&] { ++runs; });

  EXPECT_EQ(runs, 1);
}

TEST(Agree, RethrowsTheRisksOwnExceptionInAGroupOfOne) {
  SingleProcessGroup group;

  EXPECT_THROW(agree(group, "open it", [] { throw std::out_of_range("row 7"); }), std::out_of_range);
  EXPECT_THROW(agree(group, "open it", [] { throw 7; }), int);
}

}  // namespace
}  // namespace meshfold::dist
