#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>

/// The tile registers of AMX (Intel's Software Developer's Manual, volume 1, chapter 18).
namespace meshfold::models::ops::kernels::amx {

/// A tile of 16 lines of 64 bytes: 16 x 16 fp32 sums, 16 rows of 32 bf16 of a left operand, or 16 pairs along the
/// summed dim by 16 columns of a right one.
inline constexpr std::int64_t kTileLines = 16, kLineBytes = 64, kTileBytes = kTileLines * kLineBytes;

/// Eight tiles that belong to the calling thread while the object lives: the constructor configures them, the
/// destructor releases them. Kernels are written over this, so that their logic can be tested with emulated tiles.
template <typename T>
concept TileFile = std::default_initializable<T> && requires(T tiles, const std::byte* from, float* to) {
  tiles.template zero<0>();
  tiles.template load<0>(from);                 // kTileBytes without gaps
  tiles.template store<0>(to, std::int64_t{});  // lines so many bytes apart
  tiles.template add_dot_products<0, 1, 2>();   // tile 0 += left tile 1 x right tile 2, TDPBF16PS
};

#if defined(__x86_64__)
/// The CPU's own, only where base::has_amx_bf16(). LibTorch's kernels configure tiles for themselves, so an object must
/// not live across a call into LibTorch.
///
/// Inline assembly instead of g++ 12's macros of the same names, which do not tell the compiler that a load reads
/// memory (a store before it may then be moved behind it) and take no register number from a template. Volatile
/// statements keep their order, which is what orders uses of a register.
class AmxTiles {
 public:
  AmxTiles() {
    struct alignas(64) Configuration {
      std::uint8_t palette = 1, first_line = 0, reserved[14] = {};
      std::uint16_t line_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
      std::uint8_t lines[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    };
    static constexpr Configuration kWholeTiles;
    static_assert(sizeof kWholeTiles == 64);
    __asm__ volatile("ldtilecfg %0" ::"m"(kWholeTiles));
  }
  ~AmxTiles() { __asm__ volatile("tilerelease"); }
  AmxTiles(const AmxTiles&) = delete;
  AmxTiles& operator=(const AmxTiles&) = delete;

  template <int kTile>
  [[gnu::always_inline]] void zero() {
    __asm__ volatile("tilezero %%tmm%c0" ::"i"(kTile));
  }
  template <int kTile>
  [[gnu::always_inline]] void load(const std::byte* from) {
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(kLineBytes), "i"(kTile), "m"(*whole_tile(from)));
  }
  template <int kTile>
  [[gnu::always_inline]] void store(float* to, std::int64_t line_stride_bytes) {
    __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(line_stride_bytes), "i"(kTile) : "memory");
  }
  template <int kSum, int kLeft, int kRight>
  [[gnu::always_inline]] void add_dot_products() {
    __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSum), "i"(kLeft), "i"(kRight));
  }

 private:
  using Bytes = std::byte[kTileBytes];
  static const Bytes* whole_tile(const std::byte* from) { return reinterpret_cast<const Bytes*>(from); }
};
static_assert(TileFile<AmxTiles>);
#endif

}  // namespace meshfold::models::ops::kernels::amx
