#include "jobs/train/train_step.hpp"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "dist/agreement.hpp"
#include "jobs/error.hpp"
#include "jobs/train/evaluate.hpp"
#include "jobs/train/pack_input.hpp"

namespace meshfold::jobs {

/// A step's samples and how they are cut; equal on every rank.
struct TrainStep::Plan {
  std::span<const std::uint32_t> rows;
  std::vector<data::PackRange> packs;
  std::int64_t tokens = 0;
  models::StepTotals totals;
  at::Tensor kept_outputs;  ///< of this rank's only pack, with their graph, where they were needed for the statistics

  std::span<const std::uint32_t> rows_of(int pack) const {
    const data::PackRange range = packs[static_cast<std::size_t>(pack)];
    return rows.subspan(range.begin, range.end - range.begin);
  }
};

TrainStep::TrainStep(std::string job, const RunConfig& config, models::Model& model, const dist::Mesh& mesh,
                     const data::Dataset& dataset, const GradientExchange& exchange, Optimizer& optimizer, int parts)
    : job_(std::move(job)),
      config_(config),
      model_(model),
      mesh_(mesh),
      dataset_(dataset),
      exchange_(exchange),
      optimizer_(optimizer),
      parts_(parts),
      loss_(models::make_loss(config.loss, static_cast<std::int64_t>(model.head().labels.size()))),
      gradients_(model.parameters(),
                 config.training.deterministic ? models::Summation::kTree : models::Summation::kInOrder) {}

TrainStep::Plan TrainStep::plan(std::span<const std::uint32_t> rows) const {
  Plan plan;
  plan.rows = rows;
  std::vector<std::uint64_t> costs;
  costs.reserve(rows.size());
  for (const std::uint32_t row : rows) {
    costs.push_back(data::sample_cost(dataset_, row, static_cast<std::uint64_t>(model_.hidden_size())));
    plan.tokens += dataset_.sample_length(row);
  }
  plan.packs = data::pack(costs, static_cast<std::size_t>(parts_));
  plan.totals.denominator = loss_->denominator(targets_of(dataset_, rows));
  return plan;
}

at::Tensor TrainStep::forward(const data::PackedBatch& batch, std::int64_t step, models::Mode mode) {
  models::ForwardContext context;
  context.mode = mode;
  context.draws = {config_.run.seed, static_cast<std::uint32_t>(step), /*pass=*/0};
  if (mode == models::Mode::kTraining) context.gradients = &gradients_;
  const at::AutoGradMode grad_mode(mode == models::Mode::kTraining);
  return model_.forward(to_packed_input(batch, model_.parameters().flat().device()), context);
}

/// The statistics of this rank's packs, each pack's into its own place of sums [parts, K].
void TrainStep::measure_packs(Plan& plan, std::int64_t step, double* sums) {
  const bool keeps_outputs = packs_per_rank() == 1;
  for (int p = first_pack(); p < first_pack() + packs_per_rank(); ++p) {
    if (plan.rows_of(p).empty()) continue;
    const data::PackedBatch batch = data::assemble(dataset_, plan.rows_of(p));
    const at::Tensor outputs = forward(batch, step, keeps_outputs ? models::Mode::kTraining : models::Mode::kRehearsal);
    const std::vector<double> statistics = loss_->statistics(outputs, to_targets(batch, outputs.device()));
    if (tells()) std::ranges::copy(statistics, sums + p * loss_->num_statistics());
    if (keeps_outputs) plan.kept_outputs = outputs;
  }
}

/// Sums the statistics of a step-coupled loss over all packs of the step, in pack order. False if any rank failed, here
/// or before (`failure`): then no rank computes gradients, and run() tells all of it.
bool TrainStep::sum_statistics(Plan& plan, std::int64_t step, std::exception_ptr& failure) {
  const std::int64_t num_statistics = loss_->num_statistics();
  const at::Tensor reduced = at::zeros({parts_ * num_statistics + 1}, at::kDouble);
  auto* sums = reduced.mutable_data_ptr<double>();
  auto& num_failed = sums[parts_ * num_statistics];
  try {
    if (!failure) measure_packs(plan, step, sums);
  } catch (...) {
    failure = std::current_exception();
  }
  num_failed = failure ? 1 : 0;
  mesh_.all().all_reduce(reduced, dist::ReduceOp::kSum)->wait();
  plan.totals.statistics.assign(static_cast<std::size_t>(num_statistics), 0.0);
  for (int p = 0; p < parts_; ++p) {
    for (std::int64_t k = 0; k < num_statistics; ++k) {
      plan.totals.statistics[static_cast<std::size_t>(k)] += sums[p * num_statistics + k];
    }
  }
  return num_failed == 0;
}

void TrainStep::compute_packs(const Plan& plan, std::int64_t step, double* losses) {
  for (int p = first_pack(); p < first_pack() + packs_per_rank(); ++p) {
    gradients_.begin_pack();
    // An empty pack still takes its place in the tree of sums.
    if (!plan.rows_of(p).empty()) {
      const data::PackedBatch batch = data::assemble(dataset_, plan.rows_of(p));
      const at::Tensor outputs =
          plan.kept_outputs.defined() ? plan.kept_outputs : forward(batch, step, models::Mode::kTraining);
      const at::AutoGradMode with_grad(true);
      const at::Tensor loss = (*loss_)(outputs, to_targets(batch, outputs.device()), plan.totals);
      loss.backward();
      if (tells()) losses[p] = loss.item<double>();
    }
    gradients_.end_pack();
  }
}

StepResult TrainStep::run(std::span<const std::uint32_t> rows, std::int64_t step, double learning_rate,
                          const StepRequest& request) {
  // One small reduction carries all that the ranks must agree on before the gradients: a slot a pack for its loss (the
  // other ranks have exact zeros there, so the sum is exact and its order in packs), how many ranks want to stop, how
  // many failed.
  const at::Tensor agreed = at::zeros({parts_ + 2}, at::kDouble);
  auto* slots = agreed.mutable_data_ptr<double>();
  std::exception_ptr failure = request.failure;
  StepResult result;
  gradients_.begin_step();
  Plan step_plan;
  try {
    if (!failure) step_plan = plan(rows);
    result.tokens = step_plan.tokens;
  } catch (...) {
    failure = std::current_exception();
  }
  const bool goes_on = loss_->num_statistics() == 0 || sum_statistics(step_plan, step, failure);
  try {
    if (goes_on && !failure) compute_packs(step_plan, step, slots);
  } catch (...) {
    failure = std::current_exception();
    std::fill(slots, slots + parts_, 0.0);
  }
  slots[parts_] = request.stop ? 1 : 0;
  slots[parts_ + 1] = failure ? 1 : 0;
  mesh_.all().all_reduce(agreed, dist::ReduceOp::kSum)->wait();

  if (slots[parts_ + 1] > 0) {
    dist::agree(mesh_.all(), "step " + std::to_string(step + 1) + " of " + job_, [&] {
      if (failure) std::rethrow_exception(failure);
    });
  }
  result.stop = slots[parts_] > 0;
  for (int p = 0; p < parts_; ++p) result.loss += slots[p];
  if (!std::isfinite(result.loss)) throw_bad_numbers(step, "the loss is " + std::to_string(result.loss));

  const at::Tensor& gradient = gradients_.sum_packs();
  exchange_.reduce(gradient);
  // Equal bits on every rank, so what follows from the norm needs no further agreement.
  result.grad_norm = exchange_.norm(gradient);
  if (!std::isfinite(result.grad_norm))
    throw_bad_numbers(step, "the gradient norm is " + std::to_string(result.grad_norm));
  const double max_norm = config_.training.max_grad_norm;
  const double clip = max_norm > 0 ? std::min(1.0, max_norm / (result.grad_norm + 1e-6)) : 1.0;
  optimizer_.step(gradient, clip, learning_rate);
  exchange_.gather_values();
  model_.parameters().refresh_compute_copies();
  return result;
}

void TrainStep::throw_bad_numbers(std::int64_t step, const std::string& what) const {
  throw BadNumbersError(
      job_ + ", step " + std::to_string(step + 1) + ": " + what +
      "; lower optimizer.learning_rate, raise schedule.warmup_ratio, set training.max_grad_norm = 1, or look for "
      "extreme targets; precision.compute = fp32 tells whether the precision is to blame");
}

}  // namespace meshfold::jobs
