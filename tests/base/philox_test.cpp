#include "base/philox.hpp"

#include <gtest/gtest.h>

namespace meshfold::base {
namespace {

// The three vectors of Random123's kat_vectors for philox4x32 with ten rounds, checked by the compiler.
static_assert(philox4x32_10({0, 0, 0, 0}, {0, 0}) == PhiloxDraws{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
static_assert(philox4x32_10({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}) ==
              PhiloxDraws{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
static_assert(philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
              PhiloxDraws{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});

TEST(Philox, GivesTheKnownAnswersAtRunTimeToo) {
  volatile std::uint32_t ones = 0xffffffff;  // keeps the compiler from folding the call

  const PhiloxDraws draws = philox4x32_10({ones, ones, ones, ones}, {ones, ones});

  EXPECT_EQ(draws, (PhiloxDraws{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
}

TEST(Philox, KeepsSeedPurposePassAndSiteApartInTheKey) {
  const PhiloxKey key = make_philox_key(0x12345678, DrawPurpose::kAttentionDropout, 0xab, 0xcdef);

  EXPECT_EQ(key.low, 0x12345678U);
  EXPECT_EQ(key.high, 0x05abcdefU);
}

TEST(Philox, SplitsOneCallIntoEightSixteenBitDraws) {
  const PhiloxDraws draws{0x00010000, 0x00030002, 0x00050004, 0x00070006};

  for (int j = 0; j < 8; ++j) EXPECT_EQ(draw16(draws, j), static_cast<std::uint32_t>(j));
}

TEST(DropoutThreshold, KeepsTheExpectationExactAfterRounding) {
  for (const double probability : {0.0, 0.1, 0.25, 0.5, 0.9, 0.99999}) {
    const DropoutThreshold dropout = make_dropout_threshold(probability);

    EXPECT_NEAR(dropout.threshold / 65536.0, probability, 0.5 / 65536.0);
    EXPECT_NEAR(dropout.scale * (65536.0 - dropout.threshold) / 65536.0, 1.0, 1e-6);
  }
}

TEST(DropoutThreshold, DropsTheSharePromised) {
  const DropoutThreshold dropout = make_dropout_threshold(0.1);
  const PhiloxKey key = make_philox_key(7, DrawPurpose::kHiddenDropout, 0, 3);
  constexpr int kCalls = 100'000;

  int dropped = 0;
  for (std::uint32_t call = 0; call < kCalls; ++call) {
    const PhiloxDraws draws = philox4x32_10({1, call, 0, 0}, key);
    for (int j = 0; j < 8; ++j) dropped += draw16(draws, j) < dropout.threshold;
  }

  // Five standard deviations of a binomial with 800,000 draws.
  EXPECT_NEAR(dropped / (8.0 * kCalls), 0.1, 5 * 0.000335);
}

}  // namespace
}  // namespace meshfold::base
