#include "dist/all_reduce.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "dist/communicator.hpp"
#include "dist/reduction_tree.hpp"

namespace meshfold::dist {
namespace {

/// Reduces `parts` (one a rank, in rank order) and leaves the result at `destination`, which is one of them.
void reduce_parts(std::vector<std::byte*> parts, std::byte* destination, std::size_t count, std::size_t element_bytes,
                  ReduceKernel kernel) {
  reduce_in_tree_order(parts, [&](std::byte* a, const std::byte* b) { kernel(a, b, count); });
  if (parts[0] != destination) std::memcpy(destination, parts[0], count * element_bytes);
}

class GatheringAllReduce final : public AllReduce {
 public:
  GatheringAllReduce(const Communicator& communicator, Array array, ReduceKernel kernel, int tag)
      : rank_(communicator.rank()),
        size_(communicator.size()),
        array_(array),
        kernel_(kernel),
        scratch_(std::make_unique_for_overwrite<std::byte[]>(num_bytes() * static_cast<std::size_t>(size_))),
        transfers_(communicator) {
    for (int distance = 1; distance < size_; ++distance) {
      const int source = (rank_ - distance + size_) % size_;
      transfers_.receive(part(source), num_bytes(), source, tag);
    }
    for (int distance = 1; distance < size_; ++distance) {
      transfers_.send(array_.elements, num_bytes(), (rank_ + distance) % size_, tag);
    }
  }

  bool advance() override {
    if (finished_) return true;
    if (!transfers_.test()) return false;
    std::vector<std::byte*> parts;
    for (int r = 0; r < size_; ++r) parts.push_back(r == rank_ ? array_.elements : part(r));
    reduce_parts(std::move(parts), array_.elements, array_.count, array_.element_bytes, kernel_);
    finished_ = true;
    return true;
  }

  std::size_t num_done() const override { return transfers_.num_done(); }

 private:
  std::size_t num_bytes() const { return array_.count * array_.element_bytes; }
  std::byte* part(int r) { return scratch_.get() + static_cast<std::size_t>(r) * num_bytes(); }

  int rank_, size_;
  Array array_;
  ReduceKernel kernel_;
  std::unique_ptr<std::byte[]> scratch_;
  Transfers transfers_;
  bool finished_ = false;
};

/// Slices are cut into rounds. Round k: every rank sends chunk k of each slice to its reducer ("scatter", tag), the
/// reducers add, and send chunk k of their slice to everyone ("gather", tag + 1). A chunk's gather is posted only after
/// its scatter has left this rank, for both use the same memory.
class SlicedAllReduce final : public AllReduce {
 public:
  enum class After { kGather, kLeaveScattered };

  /// Rank r reduces [starts[r], starts[r + 1]).
  SlicedAllReduce(const Communicator& communicator, Array array, std::vector<std::size_t> starts, After after,
                  ReduceKernel kernel, int tag)
      : communicator_(communicator),
        rank_(communicator.rank()),
        size_(communicator.size()),
        array_(array),
        starts_(std::move(starts)),
        after_(after),
        kernel_(kernel),
        tag_(tag) {
    const auto ranks = static_cast<std::size_t>(size_);
    const std::size_t chunk_bytes = std::clamp(kScratchBytes / (kWindow * ranks), kMinChunkBytes, kMaxChunkBytes);
    std::size_t longest_slice = 1;
    for (std::size_t r = 0; r < ranks; ++r) longest_slice = std::max(longest_slice, starts_[r + 1] - starts_[r]);
    chunk_ = std::min(chunk_bytes / array_.element_bytes, longest_slice);
    num_rounds_ = (longest_slice + chunk_ - 1) / chunk_;
    scratch_ = std::make_unique_for_overwrite<std::byte[]>(kWindow * ranks * chunk_ * array_.element_bytes);
    while (num_scattered_ < std::min(kWindow, num_rounds_)) post_scatter();
  }

  bool advance() override {
    while (num_reduced_ < num_rounds_ && scatters_.front().test()) {
      scatters_.pop_front();
      reduce_round();
      if (after_ == After::kGather) post_gather();
      ++num_reduced_;
      if (num_scattered_ < num_rounds_) post_scatter();
    }
    while (!gathers_.empty() && gathers_.front().test()) {
      gathers_.pop_front();
      ++num_gathered_;
    }
    return (after_ == After::kGather ? num_gathered_ : num_reduced_) == num_rounds_;
  }

  std::size_t num_done() const override { return num_reduced_ + num_gathered_; }

 private:
  static constexpr std::size_t kWindow = 4;  ///< rounds whose scatter may be under way
  static constexpr std::size_t kScratchBytes = std::size_t{16} << 20;
  static constexpr std::size_t kMinChunkBytes = std::size_t{32} << 10;
  static constexpr std::size_t kMaxChunkBytes = std::size_t{512} << 10;

  struct Range {
    std::byte* start;
    std::size_t count;
  };

  /// Chunk `round` of rank r's slice; empty where a slice has fewer rounds than the longest.
  Range chunk(int r, std::size_t round) const {
    const std::size_t end = starts_[static_cast<std::size_t>(r) + 1];
    const std::size_t begin = std::min(end, starts_[static_cast<std::size_t>(r)] + round * chunk_);
    return {array_.elements + begin * array_.element_bytes, std::min(chunk_, end - begin)};
  }

  std::byte* scratch(std::size_t round, int source) const {
    const std::size_t slot = (round % kWindow) * static_cast<std::size_t>(size_) + static_cast<std::size_t>(source);
    return scratch_.get() + slot * chunk_ * array_.element_bytes;
  }

  void post_scatter() {
    const std::size_t round = num_scattered_++;
    Transfers& scatter = scatters_.emplace_back(communicator_);
    const std::size_t own_bytes = chunk(rank_, round).count * array_.element_bytes;
    for (int distance = 1; distance < size_; ++distance) {
      const int source = (rank_ - distance + size_) % size_;
      scatter.receive(scratch(round, source), own_bytes, source, tag_);
    }
    for (int distance = 1; distance < size_; ++distance) {
      const int target = (rank_ + distance) % size_;
      const Range range = chunk(target, round);
      scatter.send(range.start, range.count * array_.element_bytes, target, tag_);
    }
  }

  void reduce_round() {
    const Range own = chunk(rank_, num_reduced_);
    std::vector<std::byte*> parts;
    for (int r = 0; r < size_; ++r) parts.push_back(r == rank_ ? own.start : scratch(num_reduced_, r));
    reduce_parts(std::move(parts), own.start, own.count, array_.element_bytes, kernel_);
  }

  void post_gather() {
    const std::size_t round = num_reduced_;
    Transfers& gather = gathers_.emplace_back(communicator_);
    for (int distance = 1; distance < size_; ++distance) {
      const int source = (rank_ - distance + size_) % size_;
      const Range range = chunk(source, round);
      gather.receive(range.start, range.count * array_.element_bytes, source, tag_ + 1);
    }
    const Range own = chunk(rank_, round);
    for (int distance = 1; distance < size_; ++distance) {
      gather.send(own.start, own.count * array_.element_bytes, (rank_ + distance) % size_, tag_ + 1);
    }
  }

  const Communicator& communicator_;
  int rank_, size_;
  Array array_;
  std::vector<std::size_t> starts_;
  After after_;
  ReduceKernel kernel_;
  int tag_;
  std::size_t chunk_ = 0;  ///< elements
  std::size_t num_rounds_ = 0, num_scattered_ = 0, num_reduced_ = 0, num_gathered_ = 0;
  std::unique_ptr<std::byte[]> scratch_;
  std::deque<Transfers> scatters_, gathers_;
};

}  // namespace

std::unique_ptr<AllReduce> AllReduce::by_gathering(const Communicator& communicator, Array array, ReduceKernel kernel,
                                                   int tag) {
  return std::make_unique<GatheringAllReduce>(communicator, array, kernel, tag);
}

std::unique_ptr<AllReduce> AllReduce::by_slices(const Communicator& communicator, Array array, ReduceKernel kernel,
                                                int tag) {
  const auto ranks = static_cast<std::size_t>(communicator.size());
  std::vector<std::size_t> starts;  // balanced without overflow: the first count % ranks get one more
  for (std::size_t r = 0; r <= ranks; ++r) {
    starts.push_back(r * (array.count / ranks) + std::min(r, array.count % ranks));
  }
  return std::make_unique<SlicedAllReduce>(communicator, array, std::move(starts), SlicedAllReduce::After::kGather,
                                           kernel, tag);
}

std::unique_ptr<AllReduce> AllReduce::to_slices(const Communicator& communicator, Array array,
                                                std::vector<std::size_t> starts, ReduceKernel kernel, int tag) {
  return std::make_unique<SlicedAllReduce>(communicator, array, std::move(starts),
                                           SlicedAllReduce::After::kLeaveScattered, kernel, tag);
}

}  // namespace meshfold::dist
