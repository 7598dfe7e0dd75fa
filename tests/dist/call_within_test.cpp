#include "dist/call_within.hpp"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

namespace meshfold::dist {
namespace {

using namespace std::chrono_literals;

TEST(CallWithin, GivesTheResultOfACallThatIsBackInTime) {
  EXPECT_EQ(call_within<std::string>(10s, [] { return std::string("done"); }), "done");
}

TEST(CallWithin, GivesUpOnACallThatIsNot) {
  const auto start = std::chrono::steady_clock::now();

  const auto result = call_within<int>(50ms, [] {
    std::this_thread::sleep_for(1s);
    return 1;
  });

  EXPECT_FALSE(result);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 900ms);
}

TEST(CallWithin, ThrowsWhatTheCallThrows) {
  EXPECT_THROW(call_within<int>(10s, []() -> int { throw std::runtime_error("no"); }), std::runtime_error);
}

}  // namespace
}  // namespace meshfold::dist
