#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "models/ops/kernels/amx_packing.hpp"
#include "models/ops/kernels/amx_tiles.hpp"

/// The inner loop of products by tiles: a block of up to 48 rows x 32 columns over the whole summed dim, six tiles of
/// sums, one of the left and one of the right operand (registers are renamed, so that loads need not wait).
namespace meshfold::models::ops::kernels::amx {

/// Walking back, a block starts with what the block before it has left in the L1 cache.
enum class Walk { kForward, kBackward };

struct BlockOperands {
  const std::byte* left;   ///< of pack_left(), one block
  const std::byte* right;  ///< of pack_right(), one group
  std::int64_t steps;
  Walk walk;
};

inline constexpr int kRightTile = 6, kLeftTile = 7;

/// use(0), use(1) .. use(kCount - 1), as types.
template <int kCount, typename Use>
[[gnu::always_inline]] inline void for_each_index(const Use& use) {
  [&]<int... kIndex>(std::integer_sequence<int, kIndex...>) __attribute__((always_inline)) {
    (use(std::integral_constant<int, kIndex>()), ...);
  }
  (std::make_integer_sequence<int, kCount>());
}

/// sums [16 kRowTiles, kGroupColumns] = left x right. beside() is called once a step, to be computed in the shadow of
/// the tiles.
template <int kRowTiles, TileFile Tiles, typename Beside>
[[gnu::always_inline]] inline void multiply_block(Tiles& tiles, const BlockOperands& operands, float* sums,
                                                  Beside& beside) {
  constexpr int kSums = kRowTiles * static_cast<int>(kGroupColumnTiles);
  const bool back = operands.walk == Walk::kBackward;
  const std::int64_t last = operands.steps - 1;
  const std::byte* left = operands.left + (back ? last * kRowTiles * kTileBytes : 0);
  const std::byte* right = operands.right + (back ? last * kGroupColumnTiles * kTileBytes : 0);
  const std::int64_t left_step = (back ? -1 : 1) * kRowTiles * kTileBytes,
                     right_step = (back ? -1 : 1) * kGroupColumnTiles * kTileBytes;

  for_each_index<kSums>([&](auto i) { tiles.template zero<i>(); });
  std::int64_t step = 0;
  for (; step + 2 < operands.steps; ++step) {
    tiles.template load<kRightTile>(right);
    for_each_index<kRowTiles>([&](auto r) {
      tiles.template load<kLeftTile>(left + r * kTileBytes);
      tiles.template add_dot_products<2 * r, kLeftTile, kRightTile>();
    });
    beside();
    tiles.template load<kRightTile>(right + kTileBytes);
    for_each_index<kRowTiles>([&](auto i) {  // upwards again, from the left tile that is there
      constexpr int r = kRowTiles - 1 - i;
      if constexpr (r < kRowTiles - 1) tiles.template load<kLeftTile>(left + r * kTileBytes);
      tiles.template add_dot_products<2 * r + 1, kLeftTile, kRightTile>();
    });
    left += left_step;
    right += right_step;
  }
  // The last two steps sum by sum: storing one overlaps with the products of the next.
  for_each_index<kSums>([&](auto i) {
    constexpr int r = i / 2, c = i % 2;
    for (std::int64_t rest = 0; rest < operands.steps - step; ++rest) {
      tiles.template load<kLeftTile>(left + rest * left_step + r * kTileBytes);
      tiles.template load<kRightTile>(right + rest * right_step + c * kTileBytes);
      tiles.template add_dot_products<i, kLeftTile, kRightTile>();
    }
    tiles.template store<i>(sums + r * kTileLines * kGroupColumns + c * kTileLines, kGroupColumns * sizeof(float));
    if constexpr (i < 2) beside();
  });
}

}  // namespace meshfold::models::ops::kernels::amx
