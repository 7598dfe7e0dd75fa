#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace meshfold::data {

/// What to do with the samples left over when the epoch's rows do not divide by the batch size.
enum class LastStep { kShort, kDrop };

/// The samples of every optimizer step of one epoch, in order. Pure and free of layout: every rank computes the same
/// plan. The order sorts `rows` by a 64-bit Philox draw with key (seed, kEpochOrder) and counter (epoch, row, 0, 0)
/// (word 0 is the upper half); ties by row.
/// Example: 10 rows, batch 4 -> steps of 4, 4, 2 samples (kShort) or 4, 4 (kDrop).
class StepPlan {
 public:
  /// `rows` are dataset rows, unique, in any order. Throws invalid_argument on batch_size 0 or no rows, and on kDrop
  /// with fewer rows than a batch.
  StepPlan(std::uint32_t seed, std::uint32_t epoch, std::span<const std::uint32_t> rows, std::size_t batch_size,
           LastStep last_step);

  std::size_t num_steps() const;
  std::span<const std::uint32_t> step(std::size_t index) const;  ///< ordered dataset rows

 private:
  std::vector<std::uint32_t> order_;  ///< without the samples that kDrop leaves out
  std::size_t batch_size_;
};

/// Steps in one epoch, without making the plan.
std::size_t steps_per_epoch(std::size_t num_rows, std::size_t batch_size, LastStep last_step);

}  // namespace meshfold::data
