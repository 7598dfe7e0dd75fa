#include "models/gradient_accumulator.hpp"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <bit>
#include <stdexcept>

#include "models/ops/aten/table_rows.hpp"
#include "models/ops/back_end.hpp"
#include "models/ops/matmul.hpp"

namespace meshfold::models {
namespace {

/// table[indices[i]] += rows[i] for the columns [begin, end), in order of i.
template <typename Index>
void add_row_columns(float* table, std::int64_t width, const Index* indices, const float* rows, std::int64_t num_rows,
                     std::int64_t begin, std::int64_t end) {
  for (std::int64_t i = 0; i < num_rows; ++i) {
    float* target = table + static_cast<std::int64_t>(indices[i]) * width;
    const float* source = rows + i * width;
    for (std::int64_t column = begin; column < end; ++column) target[column] += source[column];
  }
}

/// Threads share the columns, never the rows: every element is added in order of i, whatever the number of threads.
template <typename Index>
void add_rows_in_order(const at::Tensor& table, const at::Tensor& indices, const at::Tensor& rows) {
  const std::int64_t width = table.size(1), num_rows = rows.size(0), table_rows = table.size(0);
  const Index* index = indices.const_data_ptr<Index>();
  const bool inside = std::all_of(index, index + num_rows, [&](Index i) { return i >= 0 && i < table_rows; });
  if (!inside)
    throw std::out_of_range("add_rows: an index is outside the table of " + std::to_string(table_rows) + " rows");
  float* target = table.mutable_data_ptr<float>();
  const float* source = rows.const_data_ptr<float>();
  constexpr std::int64_t kElementsPerTask = 1 << 15;
  const std::int64_t columns = std::max<std::int64_t>(32, kElementsPerTask / std::max<std::int64_t>(num_rows, 1));
  at::parallel_for(0, width, columns, [&](std::int64_t begin, std::int64_t end) {
    add_row_columns(target, width, index, source, num_rows, begin, end);
  });
}

}  // namespace

int num_gradient_sets(Summation summation, int packs) {
  if (summation == Summation::kInOrder) return 1;
  // While pack k is computed, its set stands beside a partial sum for every digit 1 of k.
  int most = 1;
  for (int pack = 0; pack < packs; ++pack) most = std::max(most, std::popcount(static_cast<unsigned>(pack)) + 1);
  return most;
}

GradientAccumulator::GradientAccumulator(const ParameterStore& store, Summation summation)
    : device_(store.flat().device()), summation_(summation), touched_(store.size(), false) {
  for (const Parameter& parameter : store) {
    offsets_.push_back(parameter.view.offset);
    if (parameter.spec.rate == 0.0) frozen_.insert(parameter.view.offset);
  }
  offsets_.push_back(store.num_elements());
}

at::Tensor GradientAccumulator::new_set() {
  if (spare_.empty()) return at::empty({offsets_.back()}, at::TensorOptions().dtype(at::kFloat).device(device_));
  at::Tensor set = std::move(spare_.back());
  spare_.pop_back();
  return set;
}

void GradientAccumulator::open_set() {
  if (!current_.defined()) current_ = new_set();
  std::fill(touched_.begin(), touched_.end(), false);
}

void GradientAccumulator::close(std::size_t begin, std::size_t end) {
  for (std::size_t i = begin; i < end;) {
    std::size_t next = i;
    while (next < end && !touched_[next]) ++next;
    if (next > i) current_.narrow(0, offsets_[i], offsets_[next] - offsets_[i]).zero_();
    i = next + 1;
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
  return current_;
}

const at::Tensor& GradientAccumulator::reduce(dist::ProcessGroup& data) {
  sum_packs();
  if (data.size() > 1) data.all_reduce(current_, dist::ReduceOp::kSum)->wait();
  return current_;
}

std::pair<at::Tensor, GradientAccumulator::SlotState> GradientAccumulator::claim(const ParameterView& parameter) {
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
  if (!untouched) {
    // A fused view over parameters of which only some have a sum.
    for (std::size_t i = first; i < last; ++i) {
      if (!touched_[i]) current_.narrow(0, offsets_[i], offsets_[i + 1] - offsets_[i]).zero_();
    }
  }
  std::fill(span_begin, span_end, true);
  return {slot, untouched ? SlotState::kUntouched : SlotState::kHoldsSum};
}

void GradientAccumulator::add_product(const ParameterView& weight, const at::Tensor& output_gradient,
                                      const at::Tensor& input) {
  if (is_frozen(weight)) return;
  auto [slot, state] = claim(weight);
  ops::add_weight_gradient(slot, state == SlotState::kHoldsSum ? ops::Before::kSum : ops::Before::kNothing,
                           output_gradient.contiguous(), input.contiguous());
}

void GradientAccumulator::add(const ParameterView& parameter, const at::Tensor& gradient) {
  if (gradient.sizes() != parameter.value.sizes())
    throw std::invalid_argument("add: the gradient's shape is not the parameter's");
  if (is_frozen(parameter)) return;
  auto [slot, state] = claim(parameter);
  if (state == SlotState::kHoldsSum) {
    slot.add_(gradient);
  } else {
    slot.copy_(gradient);
  }
}

void GradientAccumulator::add_rows(const ParameterView& table, const at::Tensor& indices, const at::Tensor& rows) {
  if (table.value.dim() != 2 || rows.dim() != 2 || indices.dim() != 1 || rows.size(1) != table.value.size(1) ||
      rows.size(0) != indices.size(0) || rows.scalar_type() != at::kFloat) {
    throw std::invalid_argument("add_rows takes indices [n] and fp32 rows [n, width of the table]");
  }
  if (is_frozen(table)) return;
  auto [slot, state] = claim(table);
  if (state == SlotState::kUntouched) slot.zero_();
  if (ops::back_end_of(slot) == ops::BackEnd::kAten) {
    ops::aten::add_rows(slot, indices, rows);
  } else if (indices.scalar_type() == at::kInt) {
    add_rows_in_order<std::int32_t>(slot, indices.contiguous(), rows.contiguous());
  } else {
    add_rows_in_order<std::int64_t>(slot, indices.to(at::kLong).contiguous(), rows.contiguous());
  }
}

}  // namespace meshfold::models
