#include "jobs/plan/step_shapes.hpp"

#include <algorithm>
#include <map>
#include <vector>

#include "data/pack.hpp"
#include "data/step_plan.hpp"
#include "jobs/job_id.hpp"
#include "models/context/packed_input.hpp"

namespace meshfold::jobs {
namespace {

PackShape shape_of(const data::Dataset& dataset, std::span<const std::uint32_t> rows) {
  const std::uint64_t views = dataset.views_per_sample();
  PackShape shape;
  for (const std::uint32_t row : rows) {
    for (std::uint64_t input = row * views; input < (row + 1) * views; ++input) {
      const std::int64_t length = dataset.length(input);
      shape.tokens += length;
      ++shape.inputs;
      shape.longest = std::max(shape.longest, length);
    }
  }
  return shape;
}

/// Slots by the longest input, each counted once.
class SlotCounts {
 public:
  explicit SlotCounts(const models::Backbone& backbone) : backbone_(backbone) {}

  std::int64_t of(std::int64_t longest) {
    const auto [found, is_new] = counts_.emplace(longest, 0);
    if (is_new) {
      models::PackedInput input;
      input.cu_seqlens = {0, static_cast<std::int32_t>(longest)};
      const auto shape = backbone_.relative_shape(input);
      if (!shape.empty()) found->second = shape.front();
    }
    return found->second;
  }

 private:
  const models::Backbone& backbone_;
  std::map<std::int64_t, std::int64_t> counts_;
};

}  // namespace

void for_each_step(const RunConfig& config, const JobPlan& job, const data::Dataset& dataset,
                   const models::Backbone& backbone, int parts,
                   const std::function<void(std::span<const PackShape>)>& visit) {
  const TrainingSection& training = config.training;
  const std::int64_t an_epoch = steps_an_epoch(training, job.training_rows.size());
  const std::int64_t num_steps = num_steps_of(training, job.training_rows.size());
  const auto hidden_size = static_cast<std::uint64_t>(backbone.shape().hidden_size);
  SlotCounts slots(backbone);
  std::vector<PackShape> packs;
  for (std::int64_t step = 0; step < num_steps;) {
    const data::StepPlan plan(job_seed(config.run.seed, job.id), static_cast<std::uint32_t>(step / an_epoch),
                              job.training_rows, static_cast<std::size_t>(training.batch_size),
                              training.drop_last ? data::LastStep::kDrop : data::LastStep::kShort);
    for (std::size_t i = 0; i < plan.num_steps() && step < num_steps; ++i, ++step) {
      const auto rows = plan.step(i);
      std::vector<std::uint64_t> costs;
      for (const std::uint32_t row : rows) {
        costs.push_back(data::sample_cost(dataset, row, hidden_size));
      }
      packs.clear();
      for (const data::PackRange& range : data::pack(costs, static_cast<std::size_t>(parts))) {
        packs.push_back(shape_of(dataset, rows.subspan(range.begin, range.end - range.begin)));
        packs.back().slots = slots.of(packs.back().longest);
      }
      visit(packs);
    }
  }
}

}  // namespace meshfold::jobs
