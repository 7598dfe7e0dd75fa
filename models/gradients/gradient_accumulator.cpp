#include "models/gradients/gradient_accumulator.hpp"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <bit>
#include <stdexcept>

#include "models/context/back_end.hpp"
#include "models/gradients/zero_pages.hpp"
#include "models/ops/aten/table_rows.hpp"
#include "models/ops/kernels/matmul.hpp"

namespace meshfold::models {
namespace {

/// table[indices[i]] += rows[i] for the columns [begin, end), in order of i.
void add_row_columns(float* table, std::int64_t width, const std::int64_t* indices, const float* rows,
                     std::int64_t num_rows, std::int64_t begin, std::int64_t end) {
  for (std::int64_t i = 0; i < num_rows; ++i) {
    float* target = table + indices[i] * width;
    const float* source = rows + i * width;
    for (std::int64_t column = begin; column < end; ++column) target[column] += source[column];
  }
}

/// Threads share the columns, never the rows: every element is added in order of i, whatever the number of threads.
void add_rows_in_order(const at::Tensor& table, const at::Tensor& indices, const at::Tensor& rows) {
  const std::int64_t width = table.size(1), num_rows = rows.size(0);
  const auto* index = indices.const_data_ptr<std::int64_t>();
  float* target = table.mutable_data_ptr<float>();
  const float* source = rows.const_data_ptr<float>();
  constexpr std::int64_t kElementsPerTask = 1 << 15;
  const std::int64_t columns = std::max<std::int64_t>(32, kElementsPerTask / std::max<std::int64_t>(num_rows, 1));
  at::parallel_for(0, width, columns, [&](std::int64_t begin, std::int64_t end) {
    add_row_columns(target, width, index, source, num_rows, begin, end);
  });
}

/// `indices`: int64, on the host.
void check_rows(const at::Tensor& indices, std::int64_t table_rows) {
  const auto* index = indices.const_data_ptr<std::int64_t>();
  const bool inside =
      std::all_of(index, index + indices.numel(), [&](std::int64_t i) { return i >= 0 && i < table_rows; });
  if (!inside)
    throw std::out_of_range("add_rows: an index is outside the table of " + std::to_string(table_rows) + " rows");
}

/// Writes the zeros of what is not marked in [begin, end): an addition reads first, and a page that is first read and
/// then written is exchanged on all cores.
void write_zeros(const at::Tensor& flat, const WrittenBlocks& written, std::int64_t begin, std::int64_t end) {
  auto* const values = flat.mutable_data_ptr<float>();
  for (std::int64_t from = begin, to = 0; from < end; from = to) {
    to = std::min(end, (from / WrittenBlocks::kBlock + 1) * WrittenBlocks::kBlock);
    if (!written.any(from, to)) std::fill(values + from, values + to, 0.0F);
  }
}

}  // namespace

int num_gradient_sets(Summation summation, int packs) {
  if (summation == Summation::kInOrder) return 1;
  // While pack k is computed, its set stands beside a partial sum for every digit 1 of k.
  int most = 1;
  for (int pack = 0; pack < packs; ++pack) most = std::max(most, std::popcount(static_cast<unsigned>(pack)) + 1);
  return most;
}

GradientAccumulator::GradientAccumulator(const ParameterStore& store, Summation summation, SumsAre sums)
    : device_(store.flat().device()),
      summation_(summation),
      sums_(sums),
      written_(store.num_elements()),
      touched_(store.size(), false) {
  for (const Parameter& parameter : store) {
    offsets_.push_back(parameter.view.offset);
    if (parameter.spec.rate == 0.0) frozen_.insert(parameter.view.offset);
  }
  offsets_.push_back(store.num_elements());
}

at::Tensor GradientAccumulator::new_set() {
  if (spare_.empty()) return zero_pages(offsets_.back(), device_);
  at::Tensor set = std::move(spare_.back());
  spare_.pop_back();
  return set;
}

void GradientAccumulator::open_set() {
  if (!current_.defined()) current_ = new_set();
  std::fill(touched_.begin(), touched_.end(), false);
  if (!knows_written()) written_.mark_all();
}

void GradientAccumulator::make_zero(std::size_t parameter) {
  const std::int64_t begin = offsets_[parameter], end = offsets_[parameter + 1];
  if (frozen_.contains(begin)) return;
  for (auto range = written_.next(begin, end); range.begin < end; range = written_.next(range.end, end)) {
    current_.narrow(0, range.begin, range.end - range.begin).zero_();
  }
  if (knows_written()) written_.unmark(begin, end);
}

void GradientAccumulator::close(std::size_t begin, std::size_t end) {
  for (std::size_t i = begin; i < end; ++i) {
    if (!touched_[i]) make_zero(i);
  }
  std::fill(touched_.begin() + static_cast<std::ptrdiff_t>(begin), touched_.begin() + static_cast<std::ptrdiff_t>(end),
            true);
}

void GradientAccumulator::complete_from(std::int64_t first) {
  if (!in_last_pack_ || !heed_ || summation_ == Summation::kTree || first >= complete_from_) return;
  const auto parameter = std::lower_bound(offsets_.begin(), offsets_.end(), first) - offsets_.begin();
  close(static_cast<std::size_t>(parameter), touched_.size());
  complete_from_ = first;
  heed_(current_, first);
}

void GradientAccumulator::begin_step() {
  if (pack_open_) throw std::logic_error("a step begins after the last pack of the previous one has ended");
  for (Partial& partial : partials_) spare_.push_back(std::move(partial.sum));
  partials_.clear();
  complete_from_ = std::numeric_limits<std::int64_t>::max();
  open_set();
}

void GradientAccumulator::begin_pack(PackPlace place) {
  if (pack_open_) throw std::logic_error("a pack begins after the previous one has ended");
  pack_open_ = true;
  in_last_pack_ = place == PackPlace::kLast;
  if (summation_ == Summation::kTree) open_set();
}

void GradientAccumulator::end_pack() {
  if (!pack_open_) throw std::logic_error("a pack ends that was not begun");
  pack_open_ = in_last_pack_ = false;
  if (summation_ == Summation::kTree) carry();
}

void GradientAccumulator::carry() {
  close_set();
  Partial pack{0, std::move(current_)};
  current_ = at::Tensor();
  // As a binary counter counts: two sums of 2^level packs become one of 2^(level + 1), the earlier packs on the left.
  while (!partials_.empty() && partials_.back().level == pack.level) {
    Partial earlier = std::move(partials_.back());
    partials_.pop_back();
    earlier.sum.add_(pack.sum);
    spare_.push_back(std::move(pack.sum));
    pack = {earlier.level + 1, std::move(earlier.sum)};
  }
  partials_.push_back(std::move(pack));
}

const at::Tensor& GradientAccumulator::sum_packs() {
  if (pack_open_) throw std::logic_error("gradients are reduced after the last pack has ended");
  if (partials_.empty()) {
    if (!current_.defined()) throw std::logic_error("gradients are reduced once, after begin_step()");
    close_set();
  } else {
    // What is left of the tree when the number of packs is no power of two: the smaller, later sums first.
    while (partials_.size() > 1) {
      const at::Tensor later = std::move(partials_.back().sum);
      partials_.pop_back();
      partials_.back().sum.add_(later);
      spare_.push_back(later);
    }
    current_ = std::move(partials_.back().sum);
    partials_.clear();
  }
  return current_;
}

const at::Tensor& GradientAccumulator::abandon() {
  pack_open_ = in_last_pack_ = false;
  if (!current_.defined()) current_ = new_set();
  written_.mark_all();
  return current_;
}

GradientAccumulator::Slot GradientAccumulator::claim(const ParameterView& parameter) {
  if (!pack_open_) throw std::logic_error("a gradient was added outside begin_pack() and end_pack()");
  const std::int64_t begin = parameter.offset, end = begin + parameter.value.numel();
  if (end > complete_from_) throw std::logic_error("a gradient was added after it was said to be complete");
  const auto first =
      static_cast<std::size_t>(std::lower_bound(offsets_.begin(), offsets_.end(), begin) - offsets_.begin());
  const auto last =
      static_cast<std::size_t>(std::lower_bound(offsets_.begin(), offsets_.end(), end) - offsets_.begin());
  if (last >= offsets_.size() || offsets_[first] != begin || offsets_[last] != end) {
    throw std::invalid_argument("a gradient was added for a view that is not of this accumulator's store");
  }
  const auto span_begin = touched_.begin() + static_cast<std::ptrdiff_t>(first);
  const auto span_end = touched_.begin() + static_cast<std::ptrdiff_t>(last);
  const at::Tensor slot = current_.narrow(0, begin, end - begin).view(parameter.value.sizes());
  const bool untouched = std::none_of(span_begin, span_end, [](bool touched) { return touched; });
  // A fused view over parameters of which only some have a sum.
  for (std::size_t i = first; !untouched && i < last; ++i) {
    if (!touched_[i]) make_zero(i);
  }
  std::fill(span_begin, span_end, true);
  return {slot, untouched ? SlotState::kUntouched : SlotState::kHoldsSum, first, last};
}

GradientAccumulator::Slot GradientAccumulator::claim_whole(const ParameterView& parameter) {
  Slot slot = claim(parameter);
  written_.mark(parameter.offset, parameter.offset + parameter.value.numel());
  return slot;
}

/// Before they are added to, so that what a failure leaves is known, too.
void GradientAccumulator::mark_rows(const ParameterView& table, const at::Tensor& rows) {
  if (!rows.is_cpu()) return;  // all is marked
  const auto* row = rows.const_data_ptr<std::int64_t>();
  const std::int64_t width = table.value.size(1);
  for (std::int64_t i = 0; i < rows.numel(); ++i) {
    const std::int64_t begin = table.offset + row[i] * width;
    write_zeros(current_, written_, begin, begin + width);
    written_.mark(begin, begin + width);
  }
}

void GradientAccumulator::add_product(const ParameterView& weight, const at::Tensor& output_gradient,
                                      const at::Tensor& input) {
  if (is_frozen(weight)) return;
  const Slot slot = claim_whole(weight);
  ops::add_weight_gradient(slot.values, slot.state == SlotState::kHoldsSum ? ops::Before::kSum : ops::Before::kNothing,
                           output_gradient.contiguous(), input.contiguous());
}

void GradientAccumulator::add(const ParameterView& parameter, const at::Tensor& gradient) {
  if (gradient.sizes() != parameter.value.sizes())
    throw std::invalid_argument("add: the gradient's shape is not the parameter's");
  if (is_frozen(parameter)) return;
  const Slot slot = claim_whole(parameter);
  if (slot.state == SlotState::kHoldsSum) {
    slot.values.add_(gradient);
  } else {
    slot.values.copy_(gradient);
  }
}

void GradientAccumulator::add_rows(const ParameterView& table, const at::Tensor& indices, const at::Tensor& rows) {
  if (table.value.dim() != 2 || rows.dim() != 2 || indices.dim() != 1 || rows.size(1) != table.value.size(1) ||
      rows.size(0) != indices.size(0) || rows.scalar_type() != at::kFloat) {
    throw std::invalid_argument("add_rows takes indices [n] and fp32 rows [n, width of the table]");
  }
  if (is_frozen(table)) return;
  const at::Tensor index = indices.to(at::kLong).contiguous();
  if (index.is_cpu()) check_rows(index, table.value.size(0));
  const Slot slot = claim(table);
  for (std::size_t i = slot.first; slot.state == SlotState::kUntouched && i < slot.end; ++i) make_zero(i);
  mark_rows(table, index);
  if (ops::back_end_of(slot.values) == ops::BackEnd::kAten) {
    ops::aten::add_rows(slot.values, index, rows);
  } else {
    add_rows_in_order(slot.values, index, rows.contiguous());
  }
}

}  // namespace meshfold::models
