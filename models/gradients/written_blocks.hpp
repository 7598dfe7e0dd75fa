#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace meshfold::models {

/// Which elements of a flat tensor that began as zeros may hold something else by now, in blocks of kBlock elements.
/// Outside them the tensor is zero and need be neither read nor written.
class WrittenBlocks {
 public:
  static constexpr std::int64_t kBlock = 256;  ///< a row of a table has a few

  explicit WrittenBlocks(std::int64_t num_elements)
      : is_written_(static_cast<std::size_t>((num_elements + kBlock - 1) / kBlock), 0) {}

  /// All blocks that [begin, end) touches.
  void mark(std::int64_t begin, std::int64_t end) { std::fill(first(begin), past(end), 1); }
  void mark_all() { std::ranges::fill(is_written_, 1); }
  /// [begin, end) has become zero. A block that reaches beyond it stays marked.
  void unmark(std::int64_t begin, std::int64_t end) {
    const std::int64_t from = (begin + kBlock - 1) / kBlock * kBlock, to = end / kBlock * kBlock;
    if (from < to) std::fill(first(from), past(to), 0);
  }
  /// Whether [begin, end) may hold something else than zero.
  bool any(std::int64_t begin, std::int64_t end) const {
    return begin < end && std::any_of(first(begin), past(end), [](std::uint8_t written) { return written != 0; });
  }
  /// The next range of marked elements within [begin, end), empty at `end` if there is none.
  struct Range {
    std::int64_t begin, end;
  };
  Range next(std::int64_t begin, std::int64_t end) const {
    if (begin >= end) return {end, end};
    const auto found = std::find(first(begin), past(end), 1);
    const auto stop = std::find(found, past(end), 0);
    const auto element = [&](auto block) { return (block - is_written_.begin()) * kBlock; };
    return {std::clamp(element(found), begin, end), std::min(element(stop), end)};
  }

 private:
  std::vector<std::uint8_t>::const_iterator first(std::int64_t element) const {
    return is_written_.begin() + element / kBlock;
  }
  std::vector<std::uint8_t>::iterator first(std::int64_t element) { return is_written_.begin() + element / kBlock; }
  std::vector<std::uint8_t>::const_iterator past(std::int64_t end) const { return first(end + kBlock - 1); }
  std::vector<std::uint8_t>::iterator past(std::int64_t end) { return first(end + kBlock - 1); }

  std::vector<std::uint8_t> is_written_;
};

}  // namespace meshfold::models
