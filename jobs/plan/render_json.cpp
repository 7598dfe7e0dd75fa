#include "jobs/plan/render_json.hpp"

#include <nlohmann/json.hpp>
#include <utility>

namespace meshfold::jobs {
namespace {

using Json = nlohmann::ordered_json;

Json shape_of(const dist::MeshShape& shape) {
  return {{"data", shape.data}, {"pipeline", shape.pipeline}, {"tensor", shape.tensor}};
}

Json parameter_of(const ParameterPlan& parameter) {
  return {{"name", parameter.name},
          {"shape", parameter.shape},
          {"rule", parameter.rule.empty() ? Json() : Json(parameter.rule)},
          {"shards", parameter.shards},
          {"stage", parameter.stage},
          {"copy", parameter.compute_copy ? Json("bf16") : Json()},
          {"frozen", parameter.frozen}};
}

Json rank_of(const RankPlan& rank) {
  const RankMemory& memory = rank.memory;
  return {{"rank", rank.rank},
          {"data", rank.place.data},
          {"pipeline", rank.place.pipeline},
          {"tensor", rank.place.tensor},
          {"memory",
           {{"weights", memory.weights},
            {"compute_copies", memory.compute_copies},
            {"gradients", memory.gradients},
            {"deterministic_sets", memory.deterministic_sets},
            {"optimizer", memory.optimizer},
            {"activations", memory.activations},
            {"working", memory.working},
            {"total", memory.total()}}},
          {"sent_data", rank.sent.data},
          {"sent_pipeline", rank.sent.pipeline},
          {"sent_tensor", rank.sent.tensor}};
}

Json group_of(const RunPlan& plan, const GroupPlan& group) {
  Json json = {{"mesh", shape_of(group.shape)}, {"ranks", Json::array()}, {"jobs", Json::array()},
               {"parts", group.parts},          {"steps", group.steps},   {"stages", Json::array()}};
  for (const std::size_t job : group.jobs) json["jobs"].push_back(plan.jobs[job].name);
  for (const auto& range : group.stages) json["stages"].push_back({{"first_layer", range.first}, {"end", range.end}});
  for (const RankPlan& rank : group.plans) json["ranks"].push_back(rank_of(rank));
  return json;
}

}  // namespace

std::string plan_as_json(const RunPlan& plan) {
  Json json = {{"command", word_of(plan.command)},
               {"ranks", plan.num_ranks},
               {"model", plan.model},
               {"precision", plan.precision},
               {"training_data", plan.data},
               {"counted_from", plan.data_source},
               {"groups", Json::array()},
               {"parameters", Json::array()},
               {"layout", {{"faults", plan.faults}, {"large_whole", plan.whole}}},
               {"jobs", Json::array()},
               {"steps", plan.steps()},
               {"checkpoint_bytes", plan.checkpoint_bytes}};
  for (const GroupPlan& group : plan.groups) json["groups"].push_back(group_of(plan, group));
  for (const ParameterPlan& parameter : plan.parameters) json["parameters"].push_back(parameter_of(parameter));
  for (const JobSteps& job : plan.jobs) {
    json["jobs"].push_back(
        {{"name", job.name},
         {"training_rows", job.training_rows},
         {"validation_rows", job.validation_rows},
         {"steps_an_epoch", job.steps_an_epoch},
         {"steps", job.steps},
         {"learning_rate", {{"first", job.rates.first}, {"peak", job.rates.peak}, {"last", job.rates.last}}}});
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace meshfold::jobs
