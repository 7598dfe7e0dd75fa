#include "jobs/plan/run_plan.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "jobs/cv/job_setup.hpp"
#include "jobs/cv/run_outcome.hpp"
#include "jobs/cv/startup_facts.hpp"
#include "jobs/plan/job_plans.hpp"
#include "jobs/prepare/lone_dataset.hpp"
#include "jobs/train/trainer.hpp"
#include "models/model_outline.hpp"
#include "models/ops/instruction_set.hpp"

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

int stage_of(const std::string& name, bool of_backbone, const std::vector<models::LayerRange>& stages) {
  const auto layer = models::layer_of(name);
  if (!of_backbone) return static_cast<int>(stages.size()) - 1;
  int stage = 0;
  while (layer && *layer >= stages[static_cast<std::size_t>(stage)].end) ++stage;
  return stage;
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
    row.stage = stage_of(spec.name, spec.region == models::Region::kTokens, stages);
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

/// Memory of every rank of a group.
void plan_ranks(const models::ModelOutline& outline, const RunConfig& config, GroupPlan& group) {
  const dist::MeshShape& shape = group.shape;
  std::vector<std::unique_ptr<models::Model>> parts;  // [pipeline rank, tensor rank]
  for (int i = 0; i < shape.pipeline * shape.tensor; ++i) {
    parts.push_back(part_of(outline, config, shape, i / shape.tensor, i % shape.tensor));
  }
  for (int rank = 0; rank < shape.size(); ++rank) {
    RankPlan plan;
    plan.rank = group.ranks[static_cast<std::size_t>(rank)];
    plan.place = dist::coordinates_of(rank, shape);
    const auto& part = parts[static_cast<std::size_t>(plan.place.pipeline * shape.tensor + plan.place.tensor)];
    plan.memory =
        kept_memory(std::as_const(*part).parameters(), config, shape, plan.place.data, group.parts / shape.data);
    group.plans.push_back(plan);
  }
}

}  // namespace

std::int64_t RunPlan::steps() const {
  std::int64_t sum = 0;
  for (const JobSteps& job : jobs) sum += job.steps;
  return sum;
}

RunPlan plan_run(const std::string& command, const RunConfig& config, int num_ranks, Console& console) {
  RunPlan plan;
  plan.command = command;
  plan.num_ranks = num_ranks;
  if (command == "train") mesh_shape(config.mesh, num_ranks);  // its ConfigError before the table is read
  const PreparedDataset prepared = prepare_dataset_alone(config, config.data.train, TableRole::kTrain, console);
  plan.data = describe(prepared, config.data.train);
  plan.data_source = prepared.from_cache ? "the prepared dataset " + prepared.file.string()
                                         : "the table, tokenized for this plan and not kept";
  const models::HeadConfig head = head_of(config, prepared);
  const models::ModelOutline outline(config.model.path, load_options_of(config, head, -1, {}));
  const auto whole = whole_of(outline);
  check_length(config, *whole);
  plan.model = config.model.path + ": " + whole->description();
  plan.precision = config.precision == Precision::kBf16 ? "bf16, with fp32 masters" : "fp32";

  const PlannedJobs planned = plan_jobs(command, config, prepared.dataset, head.labels, num_ranks);
  for (const JobPlan& job : planned.jobs) plan.jobs.push_back(plan_steps(config, job));
  for (const RankGroup& ranks : planned.groups) {
    GroupPlan group;
    group.ranks = ranks.ranks;
    group.jobs = ranks.folds;
    group.shape = mesh_shape(config.mesh, static_cast<int>(ranks.ranks.size()));
    group.parts = resolve_parts(config.training, prepared.dataset, group.shape.data, group.shape.pipeline);
    group.stages = models::stage_ranges(outline.backbone().shape(), group.shape.pipeline, config.pipeline.stages);
    plan.groups.push_back(std::move(group));
  }
  plan_parameters(outline, config, plan.groups.front().shape, plan.groups.front().stages, plan);
  if (!plan.faults.empty()) return plan;
  for (GroupPlan& group : plan.groups) plan_ranks(outline, config, group);
  return plan;
}

}  // namespace meshfold::jobs
