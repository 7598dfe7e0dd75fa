#include "base/text.hpp"

#include <gtest/gtest.h>

#include <array>
#include <set>
#include <vector>

#include "base/duration.hpp"

namespace meshfold::base {
namespace {

using std::chrono::milliseconds;

TEST(Format, WritesWhatPrintfWritesOfAnyLength) {
  EXPECT_EQ(format("%.1f s", 2.25), "2.2 s");
  EXPECT_EQ(format("%08x", 0xABCU), "00000abc");
  EXPECT_EQ(format("%d of %d: %s", 3, 4, "read"), "3 of 4: read");
  EXPECT_EQ(format("%0500d", 7), std::string(499, '0') + "7");
  EXPECT_EQ(format("%s", ""), "");
}

TEST(WithSeparators, GroupsDigitsByThree) {
  EXPECT_EQ(with_separators(0), "0");
  EXPECT_EQ(with_separators(999), "999");
  EXPECT_EQ(with_separators(1000), "1,000");
  EXPECT_EQ(with_separators(23703), "23,703");
  EXPECT_EQ(with_separators(18446744073709551615U), "18,446,744,073,709,551,615");
}

TEST(Joined, PutsTheSeparatorBetweenItemsAlone) {
  const std::vector<std::string> names{"a", "", "c"};

  EXPECT_EQ(joined(std::vector<std::string>{}), "");
  EXPECT_EQ(joined(std::vector<std::string>{"a"}), "a");
  EXPECT_EQ(joined(names), "a, , c");
  EXPECT_EQ(joined(names, "; "), "a; ; c");
  EXPECT_EQ(joined(std::vector<std::string>{"", "b"}), ", b");
}

TEST(Joined, WritesNumbersAndPartsOfItems) {
  struct Item {
    std::string name;
    int count;
    std::string both() const { return name + ": " + std::to_string(count); }
  };
  const std::array<Item, 2> items{{{"a", 1}, {"b", -2}}};

  EXPECT_EQ(joined(std::set<std::int64_t>{3, -1, 2}), "-1, 2, 3");
  EXPECT_EQ(joined(items, ", ", &Item::name), "a, b");
  EXPECT_EQ(joined(items, " ", &Item::count), "1 -2");
  EXPECT_EQ(joined(items, "; ", &Item::both), "a: 1; b: -2");
  EXPECT_EQ(joined(items, "/", [](const Item& item) { return item.count > 0 ? "up" : "down"; }), "up/down");
}

TEST(Shortened, SaysHowManyMoreThereAre) {
  const std::vector<std::string> names{"a", "b", "c"};

  EXPECT_EQ(shortened(std::vector<std::string>{}, 2), "");
  EXPECT_EQ(shortened(names, 3), "a, b, c");
  EXPECT_EQ(shortened(names, 2), "a, b and 1 more");
}

TEST(Duration, CutsOffPartsOfAMillisecond) {
  EXPECT_EQ(milliseconds_of(1.5), milliseconds(1500));
  EXPECT_EQ(milliseconds_of(0.0019), milliseconds(1));
  EXPECT_EQ(milliseconds_of(0), milliseconds(0));
}

TEST(Duration, IsShownInSecondsWithThreeDigits) {
  EXPECT_EQ(seconds_text(milliseconds(250)), "0.25 s");
  EXPECT_EQ(seconds_text(milliseconds(600'000)), "600 s");
  EXPECT_EQ(seconds_text(milliseconds(1234)), "1.23 s");
}

}  // namespace
}  // namespace meshfold::base
