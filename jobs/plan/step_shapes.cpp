#include "jobs/plan/step_shapes.hpp"

#include <algorithm>
#include <map>
#include <vector>

#include "data/pack.hpp"
#include "data/step_plan.hpp"
#include "jobs/job_id.hpp"

namespace meshfold::jobs {
namespace {

models::PackShape shape_of(const data::Dataset& dataset, std::span<const std::uint32_t> rows) {
  const std::uint64_t views = dataset.views_per_sample();
  models::PackShape shape;
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

/// Rows of relative embeddings by the longest input, each counted once.
class RelativeRows {
 public:
  explicit RelativeRows(const models::Backbone& backbone) : backbone_(backbone) {}

  std::int64_t of(std::int64_t longest) {
    const auto [found, is_new] = rows_.emplace(longest, 0);
    if (is_new) found->second = backbone_.relative_rows(longest);
    return found->second;
  }

 private:
  const models::Backbone& backbone_;
  std::map<std::int64_t, std::int64_t> rows_;
};

}  // namespace

void for_each_step(const RunConfig& config, const JobPlan& job, const data::Dataset& dataset,
                   const models::Backbone& backbone, int parts,
                   const std::function<void(std::span<const models::PackShape>)>& visit) {
  const TrainingSection& training = config.training;
  const std::int64_t an_epoch = steps_an_epoch(training, job.training_rows.size());
  const std::int64_t num_steps = num_steps_of(training, job.training_rows.size());
  const data::InputCost input_cost = [&](std::uint64_t length) { return backbone.input_cost(length); };
  RelativeRows relative_rows(backbone);
  std::vector<models::PackShape> packs;
  for (std::int64_t step = 0; step < num_steps;) {
    const data::StepPlan plan(job_seed(config.run.seed, job.id), static_cast<std::uint32_t>(step / an_epoch),
                              job.training_rows, static_cast<std::size_t>(training.batch_size),
                              training.drop_last ? data::LastStep::kDrop : data::LastStep::kShort);
    for (std::size_t i = 0; i < plan.num_steps() && step < num_steps; ++i, ++step) {
      const auto rows = plan.step(i);
      std::vector<std::uint64_t> costs;
      for (const std::uint32_t row : rows) {
        costs.push_back(data::sample_cost(dataset, row, input_cost));
      }
      packs.clear();
      for (const data::PackRange& range : data::pack(costs, static_cast<std::size_t>(parts))) {
        packs.push_back(shape_of(dataset, rows.subspan(range.begin, range.end - range.begin)));
        packs.back().relative_rows = relative_rows.of(packs.back().longest);
      }
      visit(packs);
    }
  }
}

}  // namespace meshfold::jobs
