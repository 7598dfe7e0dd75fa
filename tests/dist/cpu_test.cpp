#include "dist/cpu.hpp"

#include <gtest/gtest.h>
#include <sched.h>

#include <stdexcept>
#include <thread>

namespace meshfold::dist {
namespace {

TEST(UsableCores, FollowsANarrowedAffinityMask) {
  const int before = usable_cores();
  cpu_set_t allowed;
  ASSERT_EQ(sched_getaffinity(0, sizeof allowed, &allowed), 0);
  int first = 0;
  while (!CPU_ISSET(first, &allowed)) ++first;

  int inside = 0;
  std::thread([&] {  // a thread of its own: the mask of the other tests stays as it is
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    if (sched_setaffinity(0, sizeof one, &one) == 0) inside = usable_cores();
  })
      .join();

  EXPECT_EQ(inside, 1);
  EXPECT_EQ(usable_cores(), before);
  EXPECT_EQ(before, CPU_COUNT(&allowed));
}

TEST(ThreadsPerRank, SharesTheCoresEvenlyAndGivesAtLeastOne) {
  EXPECT_EQ(threads_per_rank(16, 6), 2);
  EXPECT_EQ(threads_per_rank(16, 4), 4);
  EXPECT_EQ(threads_per_rank(2, 4), 1);
  EXPECT_EQ(threads_per_rank(1, 1), 1);
  EXPECT_THROW(threads_per_rank(0, 1), std::invalid_argument);
  EXPECT_THROW(threads_per_rank(4, 0), std::invalid_argument);
}

}  // namespace
}  // namespace meshfold::dist
