#include "tests/models/trapped_tiles.hpp"

#if defined(__x86_64__) && defined(__linux__)
#include <signal.h>
#include <ucontext.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "models/ops/kernels/amx_tiles.hpp"
#include "tests/models/emulated_tiles.hpp"
#endif

namespace meshfold::models::ops::kernels::amx {
#if defined(__x86_64__) && defined(__linux__)
namespace {

std::atomic<std::int64_t> emulated = 0;
struct sigaction action_before;

struct ThreadTiles {
  bool configured = false;
  alignas(64) std::byte tiles[8][kTileBytes];
};
thread_local ThreadTiles state;

[[noreturn]] void end(std::string_view why) {
  const ssize_t written = write(STDERR_FILENO, why.data(), why.size());
  (void)written;  // nothing is left to tell it to
  std::abort();
}

/// A VEX-encoded instruction of the map that holds AMX (the manual's volume 2, 2.3).
struct Instruction {
  enum Prefix { kNone, k66, kF3, kF2 };
  Prefix prefix;
  std::uint8_t opcode;
  bool on_registers;  ///< else on memory
  unsigned reg, rm, vvvv;
  std::uint64_t address;  ///< without the index
  std::uint64_t stride;   ///< the scaled index
  std::uint64_t next;     ///< where the instruction behind it begins
};

std::uint64_t register_value(const mcontext_t& context, unsigned number) {
  constexpr int kPlaces[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                               REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  return static_cast<std::uint64_t>(context.gregs[kPlaces[number]]);
}

template <typename T>
std::uint64_t displacement(const std::uint8_t* code) {
  T value;
  std::memcpy(&value, code, sizeof value);
  return static_cast<std::uint64_t>(static_cast<std::int64_t>(value));
}

Instruction decode(const mcontext_t& context) {
  const auto begin = static_cast<std::uint64_t>(context.gregs[REG_RIP]);
  const auto* code = reinterpret_cast<const std::uint8_t*>(begin);
  constexpr unsigned kThreeByteVex = 0xC4, kMap0F38 = 2, kWideOrLong = 0x84;
  if (code[0] != kThreeByteVex || (code[1] & 0x1F) != kMap0F38 || (code[2] & kWideOrLong) != 0) {
    end("an illegal instruction that is none of AMX\n");
  }
  const unsigned high_index = code[1] & 0x40 ? 0 : 8, high_base = code[1] & 0x20 ? 0 : 8;
  const unsigned mod = code[4] >> 6, low_rm = code[4] & 7;
  Instruction result{static_cast<Instruction::Prefix>(code[2] & 3),
                     code[3],
                     mod == 3,
                     (code[4] >> 3) & 7U,
                     low_rm,
                     (~code[2] >> 3) & 15U,
                     0,
                     0,
                     begin + 5};
  if (result.on_registers) return result;
  const std::uint8_t* behind = code + 5;
  unsigned base = low_rm;
  constexpr unsigned kSibFollows = 4, kNoIndex = 4, kNoBase = 5;
  const bool has_sib = low_rm == kSibFollows;
  if (has_sib) {
    const unsigned index = ((*behind >> 3) & 7U) | high_index, scale = *behind >> 6;
    if (index != kNoIndex) result.stride = register_value(context, index) << scale;
    base = *behind & 7U;
    ++behind;
  }
  const bool no_base = mod == 0 && base == kNoBase;
  if (!no_base) result.address = register_value(context, base | high_base);
  if (mod == 1) {
    result.address += displacement<std::int8_t>(behind);
    behind += 1;
  } else if (mod == 2 || no_base) {
    result.address += displacement<std::int32_t>(behind);
    behind += 4;
  }
  result.next = reinterpret_cast<std::uint64_t>(behind);
  if (no_base && !has_sib) result.address += result.next;  // relative to the instruction pointer
  return result;
}

/// LDTILECFG: byte 0 the palette, from 16 on bytes a line, from 48 on lines.
void configure(const std::byte* given) {
  std::array<std::byte, 64> expected{};
  expected[0] = std::byte{1};
  for (std::size_t tile = 0; tile < 8; ++tile) {
    expected[16 + 2 * tile] = std::byte{64};
    expected[48 + tile] = std::byte{16};
  }
  if (std::memcmp(given, expected.data(), expected.size()) != 0) end("another configuration than eight whole tiles\n");
  if (state.configured) end("tiles are configured while they are in use\n");
  state.configured = true;
  std::memset(state.tiles, 0, sizeof state.tiles);
}

void move_lines(const Instruction& instruction, bool load) {
  for (std::int64_t line = 0; line < kTileLines; ++line) {
    auto* memory =
        reinterpret_cast<std::byte*>(instruction.address + static_cast<std::uint64_t>(line) * instruction.stride);
    std::byte* tile = state.tiles[instruction.reg] + line * kLineBytes;
    std::memcpy(load ? tile : memory, load ? memory : tile, kLineBytes);
  }
}

void execute(const Instruction& instruction) {
  const auto is = [&](Instruction::Prefix prefix, unsigned opcode, bool on_registers) {
    return instruction.prefix == prefix && instruction.opcode == opcode && instruction.on_registers == on_registers;
  };
  if (is(Instruction::kNone, 0x49, false) && instruction.reg == 0) {
    return configure(reinterpret_cast<const std::byte*>(instruction.address + instruction.stride));
  }
  if (!state.configured) end("tiles are used before they are configured\n");
  if (is(Instruction::kNone, 0x49, true)) {  // TILERELEASE
    state.configured = false;
  } else if (is(Instruction::kF2, 0x49, true)) {  // TILEZERO
    std::memset(state.tiles[instruction.reg], 0, kTileBytes);
  } else if (is(Instruction::kF2, 0x4B, false)) {  // TILELOADD
    move_lines(instruction, /*load=*/true);
  } else if (is(Instruction::kF3, 0x4B, false)) {  // TILESTORED
    move_lines(instruction, /*load=*/false);
  } else if (is(Instruction::kF3, 0x5C, true) && instruction.vvvv < 8) {  // TDPBF16PS sum, left, right
    add_dot_products(state.tiles[instruction.reg], state.tiles[instruction.rm], state.tiles[instruction.vvvv]);
  } else {
    end("an instruction of AMX that no kernel uses\n");
  }
}

void handle(int, siginfo_t*, void* opaque) {
  mcontext_t& context = static_cast<ucontext_t*>(opaque)->uc_mcontext;
  const Instruction instruction = decode(context);
  execute(instruction);
  context.gregs[REG_RIP] = static_cast<greg_t>(instruction.next);
  ++emulated;
}

}  // namespace

TrappedTiles::TrappedTiles() {
  struct sigaction action {};
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGILL, &action, &action_before);
}

TrappedTiles::~TrappedTiles() { sigaction(SIGILL, &action_before, nullptr); }

std::int64_t TrappedTiles::num_instructions() { return emulated; }
#else
TrappedTiles::TrappedTiles() = default;
TrappedTiles::~TrappedTiles() = default;
std::int64_t TrappedTiles::num_instructions() { return 0; }
#endif

}  // namespace meshfold::models::ops::kernels::amx
