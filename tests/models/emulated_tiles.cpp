#include "tests/models/emulated_tiles.hpp"

#include <bit>
#include <cmath>
#include <cstring>
#include <stdexcept>

namespace meshfold::models::ops::kernels::amx {
namespace {

thread_local bool configured = false;

constexpr int kLines = kTileLines, kPairs = kLineBytes / 4;

/// Results below count as zero; what lies less than half a unit below the smallest normal number rounds up to it.
constexpr double kSmallest = 0x1p-126 * (1 - 0x1p-25);

float flushed(double exact) { return std::abs(exact) < kSmallest ? 0.0F : static_cast<float>(exact); }

/// The upper half of an fp32 number; denormals count as zero.
float widened(std::uint16_t bits) {
  const float value = std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
  return std::fpclassify(value) == FP_SUBNORMAL ? 0.0F : value;
}

/// a b + c, rounded once to nearest even. A product of bf16 values is exact in fp64, and its sum with an fp32 number
/// may be rounded there first without changing the result: 53 >= 2 x 24 + 2 (Figueroa, When is double rounding
/// innocuous?).
float fused(float a, float b, float c) {
  return flushed(static_cast<double>(a) * static_cast<double>(b) + static_cast<double>(c));
}

/// The even or odd halves of the pairs, one line after the other.
void widen_halves(const std::byte* bytes, int half, float (&values)[kLines][kPairs]) {
  std::uint16_t halves[kLines][kPairs][2];
  std::memcpy(halves, bytes, sizeof halves);
  for (int line = 0; line < kLines; ++line) {
    for (int pair = 0; pair < kPairs; ++pair) values[line][pair] = widened(halves[line][pair][half]);
  }
}

/// sums [16, 16] = one half of the pairs of left times the same of right, pair after pair.
void multiply_halves(const std::byte* left, const std::byte* right, int half, float (&sums)[kLines][kPairs]) {
  float a[kLines][kPairs], b[kLines][kPairs];
  widen_halves(left, half, a);
  widen_halves(right, half, b);
  for (int row = 0; row < kLines; ++row) {
    for (float& sum : sums[row]) sum = 0.0F;
    for (int pair = 0; pair < kPairs; ++pair) {
      for (int column = 0; column < kPairs; ++column) {
        sums[row][column] = fused(a[row][pair], b[pair][column], sums[row][column]);
      }
    }
  }
}

}  // namespace

void add_dot_products(std::byte* sum, const std::byte* left, const std::byte* right) {
  float even[kLines][kPairs], odd[kLines][kPairs], sums[kLines][kPairs];
  multiply_halves(left, right, 0, even);
  multiply_halves(left, right, 1, odd);
  std::memcpy(sums, sum, sizeof sums);
  for (int row = 0; row < kLines; ++row) {
    for (int column = 0; column < kPairs; ++column) {
      const float both = fused(even[row][column], 1.0F, odd[row][column]);
      sums[row][column] = fused(flushed(sums[row][column]), 1.0F, both);
    }
  }
  std::memcpy(sum, sums, sizeof sums);
}

EmulatedTiles::EmulatedTiles() {
  if (configured) throw std::logic_error("tiles are configured already in this thread");
  configured = true;
  std::memset(tiles_, 0xFF, sizeof tiles_);
}

EmulatedTiles::~EmulatedTiles() { configured = false; }

void EmulatedTiles::zero_tile(Tile& tile) { std::memset(tile.bytes, 0, kTileBytes); }

void EmulatedTiles::load_tile(Tile& tile, const std::byte* from) { std::memcpy(tile.bytes, from, kTileBytes); }

void EmulatedTiles::store_tile(const Tile& tile, float* to, std::int64_t line_stride_bytes) {
  auto* out = reinterpret_cast<std::byte*>(to);
  for (int line = 0; line < kLines; ++line) {
    std::memcpy(out + line * line_stride_bytes, tile.bytes + line * kLineBytes, kLineBytes);
  }
}

}  // namespace meshfold::models::ops::kernels::amx
