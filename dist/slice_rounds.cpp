#include "dist/slice_rounds.hpp"

#include <algorithm>

namespace meshfold::dist {

SliceRounds::SliceRounds(std::span<const std::int64_t> rows, std::size_t row_elements, std::size_t max_chunk)
    : starts_(1, 0) {
  std::size_t longest = 1;
  for (const std::int64_t count : rows) {
    const std::size_t elements = static_cast<std::size_t>(count) * row_elements;
    longest = std::max(longest, elements);
    starts_.push_back(starts_.back() + elements);
  }
  chunk_ = std::clamp(max_chunk, std::size_t{1}, longest);
  num_rounds_ = (longest + chunk_ - 1) / chunk_;
}

SliceRounds::Range SliceRounds::slice(int rank) const {
  const auto r = static_cast<std::size_t>(rank);
  return {starts_[r], starts_[r + 1] - starts_[r]};
}

SliceRounds::Range SliceRounds::range(int rank, std::size_t round) const {
  const Range whole = slice(rank);
  const std::size_t before = std::min(whole.count, round * chunk_);
  return {whole.begin + before, std::min(chunk_, whole.count - before)};
}

}  // namespace meshfold::dist
