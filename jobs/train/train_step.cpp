#include "jobs/train/train_step.hpp"

#include <ATen/core/Tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "dist/agreement.hpp"
#include "jobs/error.hpp"
#include "jobs/train/pack_input.hpp"
#include "jobs/train/predict_rows.hpp"

namespace meshfold::jobs {

/// A step's samples and how they are cut; equal on every rank.
struct TrainStep::Plan {
  std::span<const std::uint32_t> rows;
  std::vector<data::PackRange> packs;
  std::int64_t tokens = 0;
  models::StepTotals totals;

  std::span<const std::uint32_t> rows_of(int pack) const {
    const data::PackRange range = packs[static_cast<std::size_t>(pack)];
    return rows.subspan(range.begin, range.end - range.begin);
  }
};

TrainStep::TrainStep(std::string job, const RunConfig& config, models::Model& model, const dist::Mesh& mesh,
                     const data::Dataset& dataset, GradientExchange& exchange, Optimizer& optimizer, int parts)
    : job_(std::move(job)),
      config_(config),
      model_(model),
      mesh_(mesh),
      dataset_(dataset),
      exchange_(exchange),
      optimizer_(optimizer),
      parts_(parts),
      schedule_(make_pipeline_schedule(
          mesh.pipeline().size() > 1 ? config.pipeline.schedule : ScheduleName::kOneForwardOneBackward,
          mesh.pipeline().size(), packs_per_rank())),
      loss_(models::make_loss(config.loss, static_cast<std::int64_t>(model.head().labels.size()))),
      gradients_(model.parameters(),
                 config.training.deterministic ? models::Summation::kTree : models::Summation::kInOrder,
                 exchange.changes_sums() ? models::SumsAre::kOverwritten : models::SumsAre::kOnlyRead) {
  gradients_.on_complete([this](const at::Tensor& sums, std::int64_t first) { exchange_.start(sums, first); });
}

TrainStep::Plan TrainStep::plan(std::span<const std::uint32_t> rows) const {
  Plan plan;
  plan.rows = rows;
  std::vector<std::uint64_t> costs;
  costs.reserve(rows.size());
  const data::InputCost input_cost = [this](std::uint64_t length) { return model_.input_cost(length); };
  for (const std::uint32_t row : rows) {
    costs.push_back(data::sample_cost(dataset_, row, input_cost));
    plan.tokens += dataset_.sample_length(row);
  }
  plan.packs = data::pack(costs, static_cast<std::size_t>(parts_));
  plan.totals.denominator = loss_->denominator(targets_of(dataset_, rows));
  return plan;
}

StageWorker TrainStep::worker(const Plan& plan, std::int64_t step, models::Mode mode) {
  std::vector<StageWorker::Rows> packs;
  for (int p = 0; p < packs_per_rank(); ++p) packs.push_back(plan.rows_of(first_pack() + p));
  models::ForwardContext context;
  context.mode = mode;
  context.draws = {config_.run.seed, static_cast<std::uint32_t>(step), /*pass=*/0};
  return {model_, dataset_, std::move(packs), context, mode == models::Mode::kTraining ? &gradients_ : nullptr};
}

/// The statistics of this rank's packs, each pack's into its own place of sums [parts, K].
bool TrainStep::measure_packs(const Plan& plan, StageWorker& training, std::int64_t step,
                              const std::exception_ptr& failure, double* sums) {
  StageWorker rehearsal = worker(plan, step, models::Mode::kRehearsal);
  StageWorker& forward = rehearses() ? rehearsal : training;
  forward.on_outputs([&](int pack, const data::PackedBatch& batch, const at::Tensor& outputs) {
    const std::vector<double> statistics = loss_->statistics(outputs, to_targets(batch, outputs.device()));
    if (tells()) std::ranges::copy(statistics, sums + (first_pack() + pack) * loss_->num_statistics());
  });
  const PipelineSchedule pass = one_phase(Phase::kForward, mesh_.pipeline().size(), packs_per_rank());
  return run_pipeline(pass, mesh_.pipeline(), forward, failure);
}

/// Sums the statistics of a step-coupled loss over all packs of the step, in pack order. False if any rank failed, here
/// or before (`failure`): then no rank computes gradients, and run() tells all of it.
bool TrainStep::sum_statistics(Plan& plan, StageWorker& training, std::int64_t step, std::exception_ptr& failure) {
  const std::int64_t num_statistics = loss_->num_statistics();
  const at::Tensor reduced = at::zeros({parts_ * num_statistics + 1}, at::kDouble);
  auto* sums = reduced.mutable_data_ptr<double>();
  auto& num_failed = sums[parts_ * num_statistics];
  try {
    measure_packs(plan, training, step, failure, sums);
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

void TrainStep::compute_packs(const Plan& plan, StageWorker& training, const std::exception_ptr& failure,
                              double* losses) {
  training.on_outputs({});
  training.set_loss([&](int pack, const data::PackedBatch& batch, const at::Tensor& outputs) {
    const at::Tensor loss = (*loss_)(outputs, to_targets(batch, outputs.device()), plan.totals);
    if (tells()) losses[first_pack() + pack] = loss.item<double>();
    return loss;
  });
  const bool has_gone_forward = loss_->num_statistics() > 0 && !rehearses();
  run_pipeline(has_gone_forward ? one_phase(Phase::kBackward, mesh_.pipeline().size(), packs_per_rank()) : schedule_,
               mesh_.pipeline(), training, failure);
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
  step_plan.packs.resize(static_cast<std::size_t>(parts_));  // empty ones, in case that it cannot be planned
  try {
    step_plan = plan(rows);
  } catch (...) {
    failure = std::current_exception();
  }
  result.tokens = step_plan.tokens;
  StageWorker training = worker(step_plan, step, models::Mode::kTraining);
  const bool goes_on = loss_->num_statistics() == 0 || sum_statistics(step_plan, training, step, failure);
  try {
    if (goes_on) compute_packs(step_plan, training, failure, slots);
  } catch (...) {
    failure = std::current_exception();
    std::fill(slots, slots + parts_, 0.0);
  }
  const models::FlatGradient gradient{failure ? gradients_.abandon() : gradients_.sum_packs(), &gradients_.written()};
  // Others may have begun the exchange before a pack failed here, so all take their part in it.
  if (goes_on) exchange_.reduce(gradient.values);
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
