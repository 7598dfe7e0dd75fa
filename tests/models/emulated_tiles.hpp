#pragma once

#include <cstddef>
#include <cstdint>

#include "models/ops/kernels/amx_tiles.hpp"

/// AMX for CPUs without it: eight tiles in memory, with the bits that Intel's manual specifies for the operations that
/// kernels use. Slow.
namespace meshfold::models::ops::kernels::amx {

/// TDPBF16PS on tiles in memory: sum += left x right. Even and odd halves are summed apart, added to each other, and
/// then to the sum; every operation rounds to nearest even, takes denormals as zero and gives zero for them.
void add_dot_products(std::byte* sum, const std::byte* left, const std::byte* right);

class EmulatedTiles {
 public:
  /// The registers hold no numbers, so that a sum which nobody set to zero is seen. Throws logic_error if the thread
  /// has configured tiles already: a second configuration would empty the first one's.
  EmulatedTiles();
  ~EmulatedTiles();
  EmulatedTiles(const EmulatedTiles&) = delete;
  EmulatedTiles& operator=(const EmulatedTiles&) = delete;

  template <int kTile>
  void zero() {
    zero_tile(tile<kTile>());
  }
  template <int kTile>
  void load(const std::byte* from) {
    load_tile(tile<kTile>(), from);
  }
  template <int kTile>
  void store(float* to, std::int64_t line_stride_bytes) {
    store_tile(tile<kTile>(), to, line_stride_bytes);
  }
  template <int kSum, int kLeft, int kRight>
  void add_dot_products() {
    static_assert(kSum != kLeft && kSum != kRight && kLeft != kRight, "the CPU refuses equal tiles");
    amx::add_dot_products(tile<kSum>().bytes, tile<kLeft>().bytes, tile<kRight>().bytes);
  }

 private:
  struct alignas(64) Tile {
    std::byte bytes[kTileBytes];
  };
  template <int kTile>
  Tile& tile() {
    static_assert(kTile >= 0 && kTile < 8);
    return tiles_[kTile];
  }
  static void zero_tile(Tile& tile);
  static void load_tile(Tile& tile, const std::byte* from);
  static void store_tile(const Tile& tile, float* to, std::int64_t line_stride_bytes);

  Tile tiles_[8];
};
static_assert(TileFile<EmulatedTiles>);

}  // namespace meshfold::models::ops::kernels::amx
