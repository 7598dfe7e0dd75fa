#include "data/step_plan.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include "base/philox.hpp"

namespace meshfold::data {

std::size_t steps_per_epoch(std::size_t num_rows, std::size_t batch_size, LastStep last_step) {
  if (batch_size == 0) throw std::invalid_argument("the batch size is 0; it must be at least 1");
  return last_step == LastStep::kDrop ? num_rows / batch_size : (num_rows + batch_size - 1) / batch_size;
}

StepPlan::StepPlan(std::uint32_t seed, std::uint32_t epoch, std::span<const std::uint32_t> rows, std::size_t batch_size,
                   LastStep last_step)
    : batch_size_(batch_size) {
  if (rows.empty()) throw std::invalid_argument("there are no rows to make steps of");
  const std::size_t num_steps = steps_per_epoch(rows.size(), batch_size, last_step);
  if (num_steps == 0) {
    throw std::invalid_argument(std::to_string(rows.size()) + " rows are fewer than the batch size of " +
                                std::to_string(batch_size) + ", and short steps are dropped: the epoch has no step");
  }

  const base::PhiloxKey key = base::make_philox_key(seed, base::DrawPurpose::kEpochOrder, 0, 0);
  std::vector<std::pair<std::uint64_t, std::uint32_t>> keyed;  // (draw, row): rows are unique, so the order is total
  keyed.reserve(rows.size());
  for (const std::uint32_t row : rows) {
    const base::PhiloxDraws draws = base::philox4x32_10({epoch, row, 0, 0}, key);
    keyed.emplace_back(std::uint64_t{draws[0]} << 32 | draws[1], row);
  }
  std::sort(keyed.begin(), keyed.end());

  keyed.resize(std::min(keyed.size(), num_steps * batch_size));
  order_.reserve(keyed.size());
  for (const auto& [draw, row] : keyed) order_.push_back(row);
}

std::size_t StepPlan::num_steps() const { return steps_per_epoch(order_.size(), batch_size_, LastStep::kShort); }

std::span<const std::uint32_t> StepPlan::step(std::size_t index) const {
  if (index >= num_steps())
    throw std::out_of_range("step " + std::to_string(index) + " of " + std::to_string(num_steps()));
  const std::size_t begin = index * batch_size_;
  return std::span(order_).subspan(begin, std::min(batch_size_, order_.size() - begin));
}

}  // namespace meshfold::data
