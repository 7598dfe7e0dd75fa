#include "jobs/train/train_step.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "data/pack.hpp"
#include "jobs/error.hpp"
#include "jobs/train/pack_input.hpp"
#include "jobs/train/pipeline_runner.hpp"

namespace meshfold::jobs {
namespace {

/// A step has one pass. A second one, through perturbed weights (FGM, AWP), is a second row with a number of its own,
/// behind a first one that keeps its gradients; the perturbation has its place in run(), between the two.
constexpr StepPass kPasses[] = {{.number = 0, .last_pack = models::PackPlace::kLast}};

/// What is wrong with a step's numbers, or nothing. Equal on every rank, as they are.
std::string fault_of(const StepResult& result) {
  if (!std::isfinite(result.loss)) return "the loss is " + std::to_string(result.loss);
  if (!std::isfinite(result.grad_norm)) return "the gradient norm is " + std::to_string(result.grad_norm);
  return {};
}

}  // namespace

StepSettings step_settings(std::string job, const TrainSettings& settings, int parts) {
  StepSettings result;
  result.job = std::move(job);
  result.parts = parts;
  result.seed = settings.seed;
  result.loss = settings.loss;
  result.summation = settings.training.deterministic ? models::Summation::kTree : models::Summation::kInOrder;
  result.pipeline_order = settings.pipeline_order;
  result.max_grad_norm = settings.training.max_grad_norm;
  return result;
}

/// A step's samples and how they are cut; equal on every rank.
struct TrainStep::Plan {
  std::int64_t step = 0;
  std::span<const std::uint32_t> rows;
  std::vector<data::PackRange> packs;
  std::int64_t tokens = 0;
  double denominator = 0.0;  ///< of the loss

  PackRows rows_of(int pack) const {
    const data::PackRange range = packs[static_cast<std::size_t>(pack)];
    return rows.subspan(range.begin, range.end - range.begin);
  }
};

TrainStep::TrainStep(StepSettings settings, models::Model& model, const dist::Mesh& mesh, const data::Dataset& dataset,
                     StepUpdate update)
    : settings_(std::move(settings)),
      model_(model),
      mesh_(mesh),
      dataset_(dataset),
      update_(update),
      schedule_(make_pipeline_schedule(settings_.pipeline_order, mesh.pipeline().size(), packs_per_rank())),
      loss_(models::make_loss(settings_.loss, static_cast<std::int64_t>(model.head().labels.size()))),
      gradients_(model.parameters(), settings_.summation,
                 update.exchange.changes_sums() ? models::SumsAre::kOverwritten : models::SumsAre::kOnlyRead) {
  gradients_.on_complete([this](const at::Tensor& sums, std::int64_t first) { update_.exchange.start(sums, first); });
}

StepResult TrainStep::run(std::span<const std::uint32_t> rows, std::int64_t step, double learning_rate,
                          const StepRequest& request) {
  StepAgreement agreement(mesh_.all(), "step " + std::to_string(step + 1) + " of " + settings_.job, request.failure);
  gradients_.begin_step();
  Plan plan;
  plan.packs.resize(static_cast<std::size_t>(settings_.parts));  // empty ones, in case that it cannot be made
  agreement.attempt([&] { plan = make_plan(rows, step); });

  // A slot per pack for its loss (the other ranks have exact zeros there, so the sum is exact and its order that of the
  // packs), and one for the ranks that want to stop.
  std::vector<double> slots(static_cast<std::size_t>(settings_.parts) + 1, 0.0);
  const std::span<double> losses = std::span(slots).first(static_cast<std::size_t>(settings_.parts));
  for (const StepPass& pass : kPasses) take(pass, plan, agreement, losses);
  const models::FlatGradient gradient = exchange_gradients(agreement);
  slots.back() = request.stop ? 1 : 0;
  agreement.sum(slots);

  // Equal bits on every rank, so what follows from them needs no further agreement.
  StepResult result;
  for (const double loss : losses) result.loss += loss;
  result.grad_norm = update_.exchange.norm(gradient);
  result.tokens = plan.tokens;
  result.stop = slots.back() > 0;
  // Who skips such a step instead (a loss scaler, when its scale was too large) returns here, on every rank alike.
  if (const std::string fault = fault_of(result); !fault.empty()) refuse(step, fault);
  apply(gradient, result.grad_norm, learning_rate);
  return result;
}

TrainStep::Plan TrainStep::make_plan(std::span<const std::uint32_t> rows, std::int64_t step) const {
  Plan plan;
  plan.step = step;
  plan.rows = rows;
  std::vector<std::uint64_t> costs;
  costs.reserve(rows.size());
  const data::InputCost input_cost = [this](std::uint64_t length) { return model_.input_cost(length); };
  for (const std::uint32_t row : rows) {
    costs.push_back(data::sample_cost(dataset_, row, input_cost));
    plan.tokens += dataset_.sample_length(row);
  }
  plan.packs = data::pack(costs, static_cast<std::size_t>(settings_.parts));
  plan.denominator = loss_->denominator(targets_of(dataset_, rows));
  return plan;
}

/// Adds the pass's gradients to those of the step, and puts the loss of each pack of this rank into its slot.
void TrainStep::take(const StepPass& pass, const Plan& plan, StepAgreement& agreement, std::span<double> losses) {
  StageWorker training = worker(pass, plan, models::Mode::kTraining);
  models::StepTotals totals{plan.denominator, {}};
  if (loss_->num_statistics() > 0) totals.statistics = sum_statistics(pass, plan, training, agreement);
  agreement.attempt([&] { compute_packs(training, totals, agreement.failure(), losses); });
}

/// The statistics of a step-coupled loss over all packs of the step, added in pack order.
std::vector<double> TrainStep::sum_statistics(const StepPass& pass, const Plan& plan, StageWorker& training,
                                              StepAgreement& agreement) {
  const auto num_statistics = static_cast<std::size_t>(loss_->num_statistics());
  std::vector<double> of_packs(static_cast<std::size_t>(settings_.parts) * num_statistics, 0.0);
  agreement.attempt([&] {
    StageWorker rehearsal = worker(pass, plan, models::Mode::kRehearsal);
    measure_packs(rehearses() ? rehearsal : training, agreement.failure(), of_packs);
  });
  agreement.sum(of_packs);
  std::vector<double> sums(num_statistics, 0.0);
  for (std::size_t i = 0; i < of_packs.size(); ++i) sums[i % num_statistics] += of_packs[i];
  return sums;
}

/// Forward alone. The statistics of each pack of this rank come to their place in `statistics` [parts, K].
void TrainStep::measure_packs(StageWorker& worker, const std::exception_ptr& failure, std::span<double> statistics) {
  worker.on_outputs([&](int pack, const data::PackedBatch& batch, const at::Tensor& outputs) {
    const std::vector<double> of_pack = loss_->statistics(outputs, to_targets(batch, outputs.device()));
    const std::size_t place = static_cast<std::size_t>(first_pack() + pack) * of_pack.size();
    if (is_reporter()) std::ranges::copy(of_pack, statistics.subspan(place, of_pack.size()).begin());
  });
  run_pipeline(only(PipelinePhase::kForward), mesh_.pipeline(), worker, failure);
}

void TrainStep::compute_packs(StageWorker& training, const models::StepTotals& totals,
                              const std::exception_ptr& failure, std::span<double> losses) {
  training.on_outputs({});
  training.set_loss([&](int pack, const data::PackedBatch& batch, const at::Tensor& outputs) {
    const at::Tensor loss = (*loss_)(outputs, to_targets(batch, outputs.device()), totals);
    if (is_reporter()) losses[static_cast<std::size_t>(first_pack() + pack)] = loss.item<double>();
    return loss;
  });
  const bool has_gone_forward = loss_->num_statistics() > 0 && !rehearses();
  run_pipeline(has_gone_forward ? only(PipelinePhase::kBackward) : schedule_, mesh_.pipeline(), training, failure);
}

/// The gradient of the step's loss, complete where this rank owns it. Others may have begun the exchange before a pack
/// failed here, so a failed rank takes its part in it.
models::FlatGradient TrainStep::exchange_gradients(const StepAgreement& agreement) {
  const at::Tensor& sums = agreement.failure() ? gradients_.abandon() : gradients_.sum_packs();
  update_.exchange.reduce(sums);
  return models::FlatGradient(sums, &gradients_.written());
}

void TrainStep::apply(const models::FlatGradient& gradient, double norm, double learning_rate) {
  const double largest = settings_.max_grad_norm;
  const double clip = largest > 0 ? std::min(1.0, largest / (norm + 1e-6)) : 1.0;
  update_.optimizer.step(gradient, clip, learning_rate);
  update_.exchange.gather_values();
  model_.parameters().refresh_compute_copies();
}

void TrainStep::refuse(std::int64_t step, const std::string& fault) const {
  throw BadNumbersError(
      settings_.job + ", step " + std::to_string(step + 1) + ": " + fault +
      "; lower optimizer.learning_rate, raise schedule.warmup_ratio, set training.max_grad_norm = 1, or look for "
      "extreme targets; precision.compute = fp32 tells whether the precision is to blame");
}

StageWorker TrainStep::worker(const StepPass& pass, const Plan& plan, models::Mode mode) {
  std::vector<PackRows> packs;
  for (int p = 0; p < packs_per_rank(); ++p) packs.push_back(plan.rows_of(first_pack() + p));
  models::ForwardContext context;
  context.mode = mode;
  context.draws = {settings_.seed, static_cast<std::uint32_t>(plan.step), pass.number};
  if (mode != models::Mode::kTraining) return {model_, dataset_, std::move(packs), context};
  return {model_, dataset_, std::move(packs), context, &gradients_, pass.last_pack};
}

}  // namespace meshfold::jobs
