// The dot products of AMX tiles against their specification in Intel's manual (TDPBF16PS), by hand-made cases whose
// result another order, another rounding or kept denormals would change. By the emulation; by the CPU's tiles where
// there are some, and where not, by their instructions under a trap.
#include "models/ops/kernels/amx_tiles.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "base/instruction_set.hpp"
#include "tests/models/emulated_tiles.hpp"
#include "tests/models/trapped_tiles.hpp"

namespace meshfold::models::ops::kernels::amx {
namespace {

constexpr int kPairs = 16;

struct alignas(64) LeftTile {
  at::BFloat16 rows[16][kPairs][2] = {};
};
struct alignas(64) RightTile {
  at::BFloat16 pairs[kPairs][16][2] = {};
};
struct alignas(64) Sums {
  float rows[16][16] = {};
};

#if defined(__x86_64__)
/// The trap is there before the tiles are configured.
class TrappedAmxTiles : private TrappedTiles, public AmxTiles {};
using TileKinds = testing::Types<EmulatedTiles, AmxTiles, TrappedAmxTiles>;
#else
using AmxTiles = void;
using TrappedAmxTiles = void;
using TileKinds = testing::Types<EmulatedTiles>;
#endif

template <typename Tiles>
class DotProducts : public testing::Test {
 protected:
  void SetUp() override {
    if (std::is_same_v<Tiles, AmxTiles> && !base::has_amx_bf16()) {
      GTEST_SKIP() << "this CPU has no AMX tiles of bf16, or its kernel does not grant them";
    }
    if (std::is_same_v<Tiles, TrappedAmxTiles> && base::has_amx_bf16()) GTEST_SKIP() << "this CPU has AMX itself";
  }

  static Sums add(const LeftTile& left, const RightTile& right, const Sums& before) {
    Tiles tiles;
    Sums after;
    tiles.template load<0>(reinterpret_cast<const std::byte*>(&before));
    tiles.template load<7>(reinterpret_cast<const std::byte*>(&left));
    tiles.template load<6>(reinterpret_cast<const std::byte*>(&right));
    tiles.template add_dot_products<0, 7, 6>();
    tiles.template store<0>(&after.rows[0][0], kLineBytes);
    return after;
  }

  /// One element, row 3 and column 5: before + the products, pair after pair {left even, right even, left odd, right
  /// odd}.
  struct Pair {
    double left_even, right_even, left_odd = 0, right_odd = 0;
  };
  static float sum_of(double before, const std::vector<Pair>& products) {
    LeftTile left;
    RightTile right;
    Sums sums;
    sums.rows[3][5] = static_cast<float>(before);
    for (std::size_t p = 0; p < products.size(); ++p) {
      left.rows[3][p][0] = static_cast<float>(products[p].left_even);
      left.rows[3][p][1] = static_cast<float>(products[p].left_odd);
      right.pairs[p][5][0] = static_cast<float>(products[p].right_even);
      right.pairs[p][5][1] = static_cast<float>(products[p].right_odd);
    }
    return add(left, right, sums).rows[3][5];
  }
};

struct KindNames {
  template <typename Tiles>
  static std::string GetName(int) {
    if (std::is_same_v<Tiles, EmulatedTiles>) return "Emulated";
    return std::is_same_v<Tiles, AmxTiles> ? "OfTheCpu" : "Trapped";
  }
};
TYPED_TEST_SUITE(DotProducts, TileKinds, KindNames);

constexpr double kBig = 16777216;  // 2^24: 1 more is lost in fp32

TYPED_TEST(DotProducts, SumEvenAndOddHalvesApart) {
  EXPECT_EQ(this->sum_of(3, {{kBig, 1, -kBig, 1}, {1, 1}, {1, 1}}), 3) << "pair by pair it would be 5";
  EXPECT_EQ(this->sum_of(3, {{kBig, 1}, {1, 1}, {-kBig, 1}}), 3) << "backwards it would be 4";
}

TYPED_TEST(DotProducts, AreAddedToTheSumAsOneNumber) {
  EXPECT_EQ(this->sum_of(kBig, {{1, 1, 1, 1}}), kBig + 2) << "one after the other both would be lost";
  EXPECT_EQ(this->sum_of(kBig, {{1, 1}, {1, 1}}), kBig + 2);
}

TYPED_TEST(DotProducts, RoundToNearestEven) {
  EXPECT_EQ(this->sum_of(1, {{0x1p-12, 0x1p-12}}), 1);
  EXPECT_EQ(this->sum_of(1 + 0x1p-23, {{0x1p-12, 0x1p-12}}), 1 + 0x1p-22);
  EXPECT_EQ(this->sum_of(1, {{0x1.02p-12, 0x1p-12}}), 1 + 0x1p-23);
}

TYPED_TEST(DotProducts, DoNotRoundAProductBeforeItIsAdded) {
  EXPECT_EQ(this->sum_of(0, {{-0x1p127, 1}, {0x1p127, 2}}), 0x1p127F) << "2^128 alone is no fp32 number";
  EXPECT_EQ(this->sum_of(0, {{0x1p-126, 1}, {-0x1p-100, 0x1p-30}}), 0) << "their difference is denormal";
  EXPECT_EQ(this->sum_of(0, {{0x1.8p-126, 1}, {-0x1p-100, 0x1p-28}}), 0x1.4p-126F);
}

TYPED_TEST(DotProducts, TakeAndGiveDenormalsAsZero) {
  EXPECT_EQ(this->sum_of(0, {{0x1p-130, 0x1p120}}), 0);
  EXPECT_EQ(this->sum_of(0, {{0x1p120, 0x1p-130}}), 0);
  EXPECT_EQ(this->sum_of(0, {{0x1p-70, 0x1p-70}}), 0);
  EXPECT_EQ(this->sum_of(0x1p-130, {}), 0);
  EXPECT_EQ(this->sum_of(0x1p-126, {{0x1p-70, 0x1p-70}}), 0x1p-126F);
}

TYPED_TEST(DotProducts, CarryInfinitiesAndWhatIsNoNumber) {
  const double infinity = std::numeric_limits<double>::infinity();

  EXPECT_EQ(this->sum_of(1, {{infinity, 2}}), infinity);
  EXPECT_TRUE(std::isnan(this->sum_of(1, {{infinity, 0}})));
  EXPECT_TRUE(std::isnan(this->sum_of(1, {{infinity, 1, -infinity, 1}})));
}

/// The manual's loops, with the fused multiply-add of the C library; no operand here comes near a denormal.
TYPED_TEST(DotProducts, EqualTheManualsLoopsOnRandomTiles) {
  at::manual_seed(11);
  const at::Tensor a = at::randn({16, kPairs, 2}).to(at::kBFloat16), b = at::randn({kPairs, 16, 2}).to(at::kBFloat16),
                   c = at::randn({16, 16});
  LeftTile left;
  RightTile right;
  Sums sums;
  std::memcpy(&left, a.const_data_ptr(), sizeof left);
  std::memcpy(&right, b.const_data_ptr(), sizeof right);
  std::memcpy(&sums, c.const_data_ptr(), sizeof sums);

  const Sums after = this->add(left, right, sums);

  for (int row = 0; row < 16; ++row) {
    for (int column = 0; column < 16; ++column) {
      float even = 0, odd = 0;
      for (int pair = 0; pair < kPairs; ++pair) {
        even = std::fma(float(left.rows[row][pair][0]), float(right.pairs[pair][column][0]), even);
        odd = std::fma(float(left.rows[row][pair][1]), float(right.pairs[pair][column][1]), odd);
      }
      ASSERT_EQ(after.rows[row][column], sums.rows[row][column] + (even + odd)) << row << ", " << column;
    }
  }
}

TEST(EmulatedTiles, RefuseASecondConfigurationInAThread) {
  {
    const EmulatedTiles tiles;
    EXPECT_THROW(EmulatedTiles(), std::logic_error);
  }
  EXPECT_NO_THROW(EmulatedTiles());
}

}  // namespace
}  // namespace meshfold::models::ops::kernels::amx
