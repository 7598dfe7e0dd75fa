#include "jobs/plan/run_plan.hpp"

#include <algorithm>
#include <memory>
#include <span>
#include <utility>

#include "jobs/config/job_setup.hpp"
#include "jobs/plan/job_plans.hpp"
#include "jobs/plan/step_costs.hpp"
#include "jobs/plan/step_shapes.hpp"
#include "jobs/prepare/head.hpp"
#include "jobs/prepare/lone_dataset.hpp"
#include "jobs/train/parts.hpp"
#include "models/directory/model_outline.hpp"
#include "models/gradients/parameter_blocks.hpp"
#include "models/losses/loss.hpp"
#include "models/networks/pipeline_stage.hpp"

namespace meshfold::jobs {
namespace {

/// The whole model, cut by no rule.
std::unique_ptr<models::Model> whole_of(const models::ModelOutline& outline) {
  models::ModelLayout layout;
  layout.device = at::kMeta;
  return outline.make(layout);
}

/// The part of the model that a pipeline and a tensor rank hold: shapes and places without memory.
std::unique_ptr<models::Model> part_of(const models::ModelOutline& outline, const RunConfig& config,
                                       const dist::MeshShape& shape, int pipeline_rank, int tensor_rank) {
  models::ModelLayout layout = first_part(config, shape);
  layout.device = at::kMeta;
  layout.pipeline_rank = pipeline_rank;
  layout.tensor_rank = tensor_rank;
  return outline.make(layout);
}

int stage_of(const models::ParameterSpec& parameter, const std::vector<models::LayerRange>& stages) {
  const std::int64_t num_layers = stages.back().end;
  const auto found = std::ranges::find_if(
      stages, [&](const models::LayerRange& range) { return models::holds(range, num_layers, parameter); });
  return static_cast<int>(found - stages.begin());
}

/// How often a pack goes forward: twice where a loss that couples the samples of a step is rehearsed.
int forward_passes_of(const models::ModelOutline& outline, const RunConfig& config, int packs_of_rank) {
  const auto loss = models::make_loss(config.loss, static_cast<std::int64_t>(outline.head().labels.size()));
  return loss->num_statistics() > 0 && packs_of_rank > 1 ? 2 : 1;
}

/// The whole model's parameters, and what the layout map does with them.
void plan_parameters(const models::ModelOutline& outline, const RunConfig& config, const dist::MeshShape& shape,
                     const std::vector<models::LayerRange>& stages, RunPlan& plan) {
  const auto whole = whole_of(outline);
  const models::LayoutFindings found = outline.inspect_layout(first_part(config, shape));
  plan.faults = found.faults;
  const auto& store = std::as_const(*whole).declaration();
  for (std::size_t i = 0; i < store.size(); ++i) {
    const models::ParameterSpec& spec = store[i].spec;
    ParameterPlan row;
    row.name = spec.name;
    row.shape = spec.global_shape;
    if (found.rules[i]) row.rule = found.rules[i]->to_string();
    row.layer = spec.layer;
    row.stage = stage_of(spec, stages);
    row.compute_copy = spec.compute_copy == models::ComputeCopy::kYes && config.precision == Precision::kBf16;
    row.frozen = spec.rate == 0.0;
    plan.parameters.push_back(std::move(row));
  }
  if (!plan.faults.empty()) return;
  for (int rank = 0; rank < shape.tensor; ++rank) {
    const auto part = part_of(outline, config, shape, 0, rank);
    const auto& pieces = std::as_const(*part).declaration();
    for (std::size_t i = 0; i < pieces.size(); ++i) plan.parameters[i].shards.push_back(pieces[i].spec.box.extent);
    if (rank == 0 && shape.tensor > 1) plan.whole = models::large_whole_parameters(pieces);
  }
}

/// Memory and traffic of every rank of a group, over all steps of its jobs.
class GroupPlanner {
 public:
  GroupPlanner(const models::ModelOutline& outline, const RunConfig& config, GroupPlan& group)
      : outline_(outline),
        config_(config),
        group_(group),
        forward_passes_(forward_passes_of(outline, config, packs_of_rank())),
        schedule_(make_pipeline_schedule(config.pipeline.schedule, group.shape.pipeline, packs_of_rank())) {}

  void keep_state() {
    const dist::MeshShape& shape = group_.shape;
    for (int i = 0; i < shape.pipeline * shape.tensor; ++i) {
      parts_.push_back(part_of(outline_, config_, shape, i / shape.tensor, i % shape.tensor));
    }
    for (int rank = 0; rank < shape.size(); ++rank) {
      RankPlan plan;
      plan.rank = group_.ranks[static_cast<std::size_t>(rank)];
      plan.place = dist::coordinates_of(rank, shape);
      const models::ParameterStore& store = store_of(plan.place);
      const ExchangeLayout exchange(store, shape, plan.place,
                                    config_.mesh.shard_optimizer ? StateSharding::kOverData : StateSharding::kOff,
                                    bucket_bytes(config_.mesh));
      plan.memory = kept_memory(store, config_, exchange, packs_of_rank());
      in_every_step_.push_back(exchange.bytes_sent(blocks_of_model(plan.place.tensor)));
      group_.plans.push_back(plan);
    }
  }

  void run(const JobPlan& job, const data::Dataset& dataset) {
    for_each_step(config_, job, dataset, outline_.backbone(), group_.parts,
                  [&](std::span<const models::PackShape> packs) {
                    ++group_.steps;
                    for (std::size_t rank = 0; rank < group_.plans.size(); ++rank) take_step(rank, packs);
                  });
  }

 private:
  int packs_of_rank() const { return group_.parts / group_.shape.data; }

  models::Model& part_of_rank(const dist::MeshCoordinates& place) const {
    return *parts_[static_cast<std::size_t>(place.pipeline * group_.shape.tensor + place.tensor)];
  }
  const models::ParameterStore& store_of(const dist::MeshCoordinates& place) const {
    return std::as_const(part_of_rank(place)).parameters();
  }

  std::int64_t blocks_of_model(int tensor_rank) const {
    std::size_t blocks = 0;
    for (int stage = 0; stage < group_.shape.pipeline; ++stage) {
      blocks += models::parameter_blocks(store_of({0, stage, tensor_rank})).size();
    }
    return static_cast<std::int64_t>(blocks);
  }

  void take_step(std::size_t rank, std::span<const models::PackShape> packs) {
    RankPlan& plan = group_.plans[rank];
    const models::PipelineStage& stage = *part_of_rank(plan.place).stage();
    const auto count = static_cast<std::size_t>(packs_of_rank());
    std::vector<PackCosts> own;
    for (const models::PackShape& pack : packs.subspan(static_cast<std::size_t>(plan.place.data) * count, count)) {
      own.push_back({pack, stage.costs(pack)});
    }
    plan.sent += in_every_step_[rank];
    for (const PackCosts& pack : own) plan.sent += pack_traffic(stage, pack, forward_passes_);
    const StepPeak peak = step_peak(schedule_, plan.place.pipeline, own);
    if (peak.total() > plan.memory.activations + plan.memory.working) {
      plan.memory.activations = peak.activations;
      plan.memory.working = peak.working;
    }
  }

  const models::ModelOutline& outline_;
  const RunConfig& config_;
  GroupPlan& group_;
  int forward_passes_;
  PipelineSchedule schedule_;
  std::vector<std::unique_ptr<models::Model>> parts_;  ///< [pipeline rank, tensor rank]
  std::vector<AxisBytes> in_every_step_;               ///< [rank]
};

}  // namespace

std::int64_t RunPlan::steps() const {
  std::int64_t sum = 0;
  for (const JobSteps& job : jobs) sum += job.steps;
  return sum;
}

RunPlan plan_run(CommandName command, const RunConfig& config, int num_ranks, Console& console) {
  RunPlan plan;
  plan.command = command;
  plan.num_ranks = num_ranks;
  if (command == CommandName::kTrain) mesh_shape(config.mesh, num_ranks);  // its ConfigError before the table is read
  const PreparedDataset prepared = prepare_dataset_alone(config, config.data.train, TableRole::kTrain, console);
  plan.data = describe(prepared, config.data.train);
  plan.data_source = prepared.from_cache ? "the prepared dataset " + prepared.file.string()
                                         : "the table, tokenized for this plan and not kept";
  const models::HeadConfig head = head_of(config, prepared);
  const models::ModelOutline outline(config.model.path, load_options_of(config, head, {}));
  const auto whole = whole_of(outline);
  check_length(config, *whole);
  plan.model = config.model.path + ": " + whole->description();
  plan.precision = config.precision == Precision::kBf16 ? "bf16, with fp32 masters" : "fp32";

  const PlannedJobs planned = plan_jobs(command, config, prepared.dataset, head.labels, num_ranks);
  for (const JobPlan& job : planned.jobs) plan.jobs.push_back(plan_steps(config, job));
  for (const RankGroup& ranks : planned.groups) {
    GroupPlan group;
    group.ranks = ranks.ranks;
    group.jobs = ranks.jobs;
    group.shape = mesh_shape(config.mesh, static_cast<int>(ranks.ranks.size()));
    group.parts = resolve_parts(config.training, prepared.dataset, group.shape.data, group.shape.pipeline);
    group.stages = models::stage_ranges(outline.backbone().token_work(), outline.backbone().shape().num_layers,
                                        group.shape.pipeline, config.pipeline.stages);
    plan.groups.push_back(std::move(group));
  }
  plan_parameters(outline, config, plan.groups.front().shape, plan.groups.front().stages, plan);
  if (!plan.faults.empty()) return plan;
  plan.checkpoint_bytes = checkpoint_bytes(std::as_const(*whole).declaration(), config.optimizer);
  for (GroupPlan& group : plan.groups) {
    GroupPlanner planner(outline, config, group);
    planner.keep_state();
    for (const std::size_t job : group.jobs) planner.run(planned.jobs[job], prepared.dataset);
  }
  return plan;
}

}  // namespace meshfold::jobs
