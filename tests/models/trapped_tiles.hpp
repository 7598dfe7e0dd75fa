#pragma once

#include <cstdint>

/// Lets the program's own AMX instructions run on a CPU without AMX: each traps as illegal, and the handler decodes it,
/// does what it says on emulated tiles of the thread, and goes on behind it. So the machine code is tested, its
/// register numbers, addresses and configuration, and not its source alone. x86-64 Linux.
namespace meshfold::models::ops::kernels::amx {

/// While one is alive. An instruction that is none of AMX, or that the manual forbids (tiles used before they are
/// configured, another configuration than eight whole tiles), ends the process with a message.
class TrappedTiles {
 public:
  TrappedTiles();
  ~TrappedTiles();
  TrappedTiles(const TrappedTiles&) = delete;
  TrappedTiles& operator=(const TrappedTiles&) = delete;

  /// How many instructions were emulated, in all threads, since the process began.
  static std::int64_t num_instructions();
};

}  // namespace meshfold::models::ops::kernels::amx
