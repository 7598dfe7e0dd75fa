#include "dist/all_reduce.hpp"

#include <algorithm>
#include <cstring>
#include <deque>
#include <utility>
#include <vector>

#include "dist/communicator.hpp"
#include "dist/reduction_tree.hpp"
#include "dist/row_shards.hpp"
#include "dist/slice_rounds.hpp"

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

  SlicedAllReduce(const Communicator& communicator, Array array, std::span<const std::int64_t> rows,
                  std::size_t row_elements, After after, ReduceKernel kernel, int tag)
      : communicator_(communicator),
        rank_(communicator.rank()),
        size_(communicator.size()),
        array_(array),
        rounds_(rows, row_elements, chunk_bytes(size_) / array.element_bytes),
        after_(after),
        kernel_(kernel),
        tag_(tag),
        scratch_(std::make_unique_for_overwrite<std::byte[]>(kWindow * static_cast<std::size_t>(size_) *
                                                             rounds_.chunk() * array_.element_bytes)) {
    while (num_scattered_ < std::min(kWindow, rounds_.num_rounds())) post_scatter();
  }

  bool advance() override {
    const std::size_t num_rounds = rounds_.num_rounds();
    while (num_reduced_ < num_rounds && scatters_.front().test()) {
      scatters_.pop_front();
      reduce_round();
      if (after_ == After::kGather) post_gather();
      ++num_reduced_;
      if (num_scattered_ < num_rounds) post_scatter();
    }
    while (!gathers_.empty() && gathers_.front().test()) {
      gathers_.pop_front();
      ++num_gathered_;
    }
    return (after_ == After::kGather ? num_gathered_ : num_reduced_) == num_rounds;
  }

  std::size_t num_done() const override { return num_reduced_ + num_gathered_; }

 private:
  static constexpr std::size_t kWindow = 4;  ///< rounds whose scatter may be under way
  static constexpr std::size_t kScratchBytes = std::size_t{16} << 20;
  static constexpr std::size_t kMinChunkBytes = std::size_t{32} << 10;
  static constexpr std::size_t kMaxChunkBytes = std::size_t{512} << 10;

  struct Chunk {
    std::byte* start;
    std::size_t count;
  };

  static std::size_t chunk_bytes(int ranks) {
    return std::clamp(kScratchBytes / (kWindow * static_cast<std::size_t>(ranks)), kMinChunkBytes, kMaxChunkBytes);
  }

  Chunk chunk(int r, std::size_t round) const {
    const SliceRounds::Range range = rounds_.range(r, round);
    return {array_.elements + range.begin * array_.element_bytes, range.count};
  }

  std::byte* scratch(std::size_t round, int source) const {
    const std::size_t slot = (round % kWindow) * static_cast<std::size_t>(size_) + static_cast<std::size_t>(source);
    return scratch_.get() + slot * rounds_.chunk() * array_.element_bytes;
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
      const Chunk range = chunk(target, round);
      scatter.send(range.start, range.count * array_.element_bytes, target, tag_);
    }
  }

  void reduce_round() {
    const Chunk own = chunk(rank_, num_reduced_);
    std::vector<std::byte*> parts;
    for (int r = 0; r < size_; ++r) parts.push_back(r == rank_ ? own.start : scratch(num_reduced_, r));
    reduce_parts(std::move(parts), own.start, own.count, array_.element_bytes, kernel_);
  }

  void post_gather() {
    const std::size_t round = num_reduced_;
    Transfers& gather = gathers_.emplace_back(communicator_);
    for (int distance = 1; distance < size_; ++distance) {
      const int source = (rank_ - distance + size_) % size_;
      const Chunk range = chunk(source, round);
      gather.receive(range.start, range.count * array_.element_bytes, source, tag_ + 1);
    }
    const Chunk own = chunk(rank_, round);
    for (int distance = 1; distance < size_; ++distance) {
      gather.send(own.start, own.count * array_.element_bytes, (rank_ + distance) % size_, tag_ + 1);
    }
  }

  const Communicator& communicator_;
  int rank_, size_;
  Array array_;
  SliceRounds rounds_;
  After after_;
  ReduceKernel kernel_;
  int tag_;
  std::size_t num_scattered_ = 0, num_reduced_ = 0, num_gathered_ = 0;
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
  const std::vector<std::int64_t> slices = even_row_shards(static_cast<std::int64_t>(array.count), communicator.size());
  return std::make_unique<SlicedAllReduce>(communicator, array, slices, 1, SlicedAllReduce::After::kGather, kernel,
                                           tag);
}

std::unique_ptr<AllReduce> AllReduce::to_slices(const Communicator& communicator, Array array,
                                                std::span<const std::int64_t> rows, std::size_t row_elements,
                                                ReduceKernel kernel, int tag) {
  return std::make_unique<SlicedAllReduce>(communicator, array, rows, row_elements,
                                           SlicedAllReduce::After::kLeaveScattered, kernel, tag);
}

}  // namespace meshfold::dist
