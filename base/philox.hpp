#pragma once

#include <array>
#include <cstdint>

/// Counter-based random numbers: a draw is a function of what it is for, never of which rank asks or in which order.
/// Philox4x32-10 after Salmon, Moraes, Dror, Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011.
/// This header is free of MPI and LibTorch; `data` may include it. The key and counter layout is in docs/numerics.md.
namespace meshfold::base {

/// What a draw is for. The values are part of the numerics contract: add, never renumber.
enum class DrawPurpose : std::uint8_t {
  kEpochOrder = 1,
  kFoldAssignment = 2,
  kParameterInitialization = 3,
  kHiddenDropout = 4,
  kAttentionDropout = 5,
  kHeadDropout = 6,
  kSampleCut = 7,
};

struct PhiloxKey {
  std::uint32_t low = 0;   ///< the run's seed
  std::uint32_t high = 0;  ///< purpose (8 bits) | pass (8) | site (16)
};

using PhiloxCounter = std::array<std::uint32_t, 4>;
using PhiloxDraws = std::array<std::uint32_t, 4>;

/// `pass` numbers the passes of one step (0 plain, 1 attack, 2 adversarial); `site` numbers the places of one purpose
/// inside the model (for BERT: see models/networks/bert.hpp).
constexpr PhiloxKey make_philox_key(std::uint32_t seed, DrawPurpose purpose, std::uint8_t pass, std::uint16_t site) {
  return {seed, (static_cast<std::uint32_t>(purpose) << 24) | (static_cast<std::uint32_t>(pass) << 16) | site};
}

/// Ten rounds. Known answer: key {0xa4093822, 0x299f31d0}, counter {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}
/// gives {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1} (Random123 kat_vectors).
constexpr PhiloxDraws philox4x32_10(PhiloxCounter counter, PhiloxKey key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = std::uint64_t{0xD2511F53u} * counter[0];
    const std::uint64_t product1 = std::uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key.low, static_cast<std::uint32_t>(product1),
               static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key.high,
               static_cast<std::uint32_t>(product0)};
    key.low += 0x9E3779B9u;
    key.high += 0xBB67AE85u;
  }
  return counter;
}

/// The eight 16-bit draws of one call: draw j is the low (j even) or high (j odd) half of word j / 2.
constexpr std::uint32_t draw16(const PhiloxDraws& draws, int j) { return (draws[j / 2] >> (16 * (j % 2))) & 0xFFFFu; }

/// A dropout probability as the kernels apply it: an element is dropped when its 16-bit draw is below `threshold`,
/// and kept elements are multiplied by `scale` = 65536 / (65536 - threshold), so the expectation is exact.
struct DropoutThreshold {
  std::uint32_t threshold = 0;
  float scale = 1.0F;
};

/// `probability` in [0, 1); rounded to a multiple of 1/65536.
constexpr DropoutThreshold make_dropout_threshold(double probability) {
  const auto threshold = static_cast<std::uint32_t>(probability * 65536.0 + 0.5);
  return {threshold, static_cast<float>(65536.0 / (65536.0 - threshold))};
}

}  // namespace meshfold::base
