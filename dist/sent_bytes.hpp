#pragma once

#include <cstdint>

/// Payload bytes that a rank hands to its peers in one collective of an MpiProcessGroup. The group counts with them
/// (ProcessGroup::bytes_sent), and whoever foretells traffic asks the same functions. A rank alone sends nothing.
namespace meshfold::dist {

/// Whether an all_reduce goes by slices. With fewer bytes latency decides, and every rank sends all to every other.
constexpr bool goes_by_slices(std::int64_t bytes) { return bytes >= std::int64_t{64} << 10; }

constexpr std::int64_t sent_by_all_reduce(std::int64_t bytes, int ranks) {
  return goes_by_slices(bytes) ? 2 * bytes * (ranks - 1) / ranks : bytes * (ranks - 1);
}

/// `own_bytes`: of the rows whose sum stays with the rank.
constexpr std::int64_t sent_by_reduce_scatter(std::int64_t whole_bytes, std::int64_t own_bytes) {
  return whole_bytes - own_bytes;
}

constexpr std::int64_t sent_by_all_gather(std::int64_t own_bytes, int ranks) { return own_bytes * (ranks - 1); }

}  // namespace meshfold::dist
