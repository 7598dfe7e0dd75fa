#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <set>
#include <utility>
#include <vector>

#include "models/context/gradient_sink.hpp"
#include "models/gradients/written_blocks.hpp"
#include "models/parameters/parameter_store.hpp"

namespace meshfold::models {

/// How the gradients of a step's packs are added.
enum class Summation {
  kInOrder,  ///< one set, packs added in order; least memory; equal over layouts to a tolerance
  kTree,     ///< a set per pack, added in the order of dist/reduction_tree.hpp; at most log2(packs) + 1 sets are alive;
             ///< bitwise equal over data-axis sizes when packs per rank and ranks are powers of two
};

/// The sets that a GradientAccumulator makes for steps of `packs` packs, and keeps for the next ones.
int num_gradient_sets(Summation summation, int packs);

enum class PackPlace { kInside, kLast };  ///< among the packs of a rank's step

/// What others do with a step's sums.
enum class SumsAre {
  kOverwritten,  ///< exchanged with other ranks in place; the slots of frozen parameters stay zero
  kOnlyRead,     ///< so the accumulator, on the host and with kInOrder, knows all that was written
};

/// The GradientSink of data-parallel training: one flat fp32 set laid out like ParameterStore::flat().
/// A set is not zeroed beforehand: the first gradient of a parameter overwrites its slot, and slots that got none are
/// zeroed when the set is closed. Gradients of frozen parameters (ParameterSpec::rate 0) are dropped, and their
/// products not computed; parameters that are viewed as one are frozen together.
///
/// Sets are zero_pages(). Slots of frozen parameters are never written; nor, where sums are only read, rows of tables
/// that no add_rows() has named: these take no memory, and of a table only the rows of the last step are zeroed.
class GradientAccumulator final : public GradientSink {
 public:
  GradientAccumulator(const ParameterStore& store, Summation summation, SumsAre sums = SumsAre::kOverwritten);

  void begin_step();
  /// Between these the backward of one pack runs; an empty pack is begun and ended too.
  void begin_pack(PackPlace place = PackPlace::kInside);
  void end_pack();
  /// The sum over the packs of this rank, [ParameterStore::num_elements()]; what the exchange between ranks continues,
  /// in place. Once a step; valid until begin_step().
  const at::Tensor& sum_packs();
  /// In place of sum_packs() where a pack has failed: a set of the same shape, whatever it holds, with which this rank
  /// can take its part in the exchange that others have begun.
  const at::Tensor& abandon();
  /// `heed` is called within the last pack's backward, as soon as the sums over this rank's packs are complete from
  /// element `first` of `sums` on; with falling `first`, and not necessarily down to 0. Not with kTree, whose sums
  /// are complete at the end.
  using Heed = std::function<void(const at::Tensor& sums, std::int64_t first)>;
  void on_complete(Heed heed) { heed_ = std::move(heed); }

  /// Where the sums may be something else than zero; valid as long as they are.
  const WrittenBlocks& written() const { return written_; }

  void add_product(const ParameterView& weight, const at::Tensor& output_gradient, const at::Tensor& input) override;
  void add(const ParameterView& parameter, const at::Tensor& gradient) override;
  void add_rows(const ParameterView& table, const at::Tensor& indices, const at::Tensor& rows) override;
  void complete_from(std::int64_t first) override;

 private:
  enum class SlotState { kUntouched, kHoldsSum };
  struct Slot {
    at::Tensor values;  ///< of the shape of the parameter
    SlotState state = SlotState::kUntouched;
    std::size_t first = 0, end = 0;  ///< the parameters that it holds
  };
  /// The slot of `parameter` and whether it already holds a sum; it does once this returns, so the caller must write
  /// it.
  Slot claim(const ParameterView& parameter);
  /// The same for writing all of it.
  Slot claim_whole(const ParameterView& parameter);
  /// Whether written_ tells more than that everything may be written.
  bool knows_written() const {
    return sums_ == SumsAre::kOnlyRead && summation_ == Summation::kInOrder && device_.is_cpu();
  }
  void make_zero(std::size_t parameter);
  void mark_rows(const ParameterView& table, const at::Tensor& rows);
  at::Tensor new_set();
  /// Zeroes the slots of parameters [begin, end) that no gradient reached.
  void close(std::size_t begin, std::size_t end);
  void close_set() { close(0, touched_.size()); }
  void open_set();
  /// kTree: adds the current set, as the sum of one pack, to the binary counter.
  void carry();

  bool is_frozen(const ParameterView& parameter) const { return frozen_.contains(parameter.offset); }

  std::set<std::int64_t> frozen_;      ///< offsets
  std::vector<std::int64_t> offsets_;  ///< where each parameter begins; ends with the number of elements
  at::Device device_;
  Summation summation_;
  SumsAre sums_;
  bool pack_open_ = false, in_last_pack_ = false;
  Heed heed_;
  std::int64_t complete_from_ = std::numeric_limits<std::int64_t>::max();  ///< heed_ was told so
  at::Tensor current_;
  WrittenBlocks written_;      ///< of current_
  std::vector<bool> touched_;  ///< a parameter of current_ has its first gradient
  /// kTree: partial sums, each over 2^level packs, as the digits of a binary counter; levels fall from front to back.
  struct Partial {
    int level;
    at::Tensor sum;
  };
  std::vector<Partial> partials_;
  std::vector<at::Tensor> spare_;  ///< sets to use again
};

}  // namespace meshfold::models
