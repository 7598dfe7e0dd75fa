#include "jobs/plan/render_text.hpp"

#include <algorithm>
#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/text.hpp"
#include "models/parameters/parameter_store.hpp"

namespace meshfold::jobs {
namespace {

using Row = std::vector<std::string>;

std::string mebibytes(std::int64_t bytes) { return base::format("%.2f", static_cast<double>(bytes) / (1 << 20)); }

std::string count(std::int64_t number) { return base::with_separators(static_cast<std::uint64_t>(number)); }

/// 3 4 5 as "3-5", 0 2 as "0 2".
std::string in_words(const std::vector<int>& numbers) {
  std::string text;
  for (std::size_t i = 0; i < numbers.size();) {
    std::size_t end = i + 1;
    while (end < numbers.size() && numbers[end] == numbers[end - 1] + 1) ++end;
    text += (text.empty() ? "" : " ") + std::to_string(numbers[i]);
    if (end - i > 1) text += (end - i > 2 ? "-" : " ") + std::to_string(numbers[end - 1]);
    i = end;
  }
  return text;
}

std::string stage_in_words(const GroupPlan& group, std::size_t stage) {
  const models::LayerRange& range = group.stages[stage];
  const bool one = range.end - range.first == 1;
  std::string text = "stage " + std::to_string(stage) + ": " + (stage == 0 ? "embeddings, " : "");
  text += (one ? "layer " : "layers ") + std::to_string(range.first) + (one ? "" : "-" + std::to_string(range.end - 1));
  return text + (stage + 1 == group.stages.size() ? ", head" : "");
}

/// A row a data rank, a column a stage; a cell has the ranks of the tensor axis.
void print_mesh(const RunPlan& plan, const GroupPlan& group, Console& console) {
  constexpr int kShown = 16;
  std::string jobs;
  for (const std::size_t job : group.jobs) jobs += " " + plan.jobs[job].name;
  console.say("mesh of ranks " + in_words(group.ranks) + ": " + group.shape.to_string() + ", " +
              std::to_string(group.parts) + " packs a step, for" + jobs);
  Row header = {""};
  for (std::size_t stage = 0; stage < group.stages.size(); ++stage) header.push_back(stage_in_words(group, stage));
  std::vector<Row> rows;
  for (int data = 0; data < std::min(group.shape.data, kShown); ++data) {
    Row& row = rows.emplace_back(Row{"data " + std::to_string(data)});
    for (int stage = 0; stage < group.shape.pipeline; ++stage) {
      std::vector<int> ranks;
      for (int tensor = 0; tensor < group.shape.tensor; ++tensor) {
        const int rank = (data * group.shape.pipeline + stage) * group.shape.tensor + tensor;
        ranks.push_back(group.ranks[static_cast<std::size_t>(rank)]);
      }
      row.push_back((ranks.size() > 1 ? "ranks " : "rank ") + in_words(ranks));
    }
  }
  console.grid(header, rows);
  if (group.shape.data > kShown) {
    console.say("  and so on to data " + std::to_string(group.shape.data - 1));
  }
}

/// `text` with a star for the number of the parameter's layer where it names that layer
/// ("bert.encoder.layer.*.output.dense.bias"): one line for what is alike in many layers.
std::string without_layer(std::string text, const ParameterPlan& parameter) {
  if (!parameter.layer) return text;
  const std::string number = "." + std::to_string(*parameter.layer) + ".";
  const std::string layer = parameter.name.substr(0, parameter.name.find(number)) + number;
  const std::size_t place = text.find(layer);
  if (place != std::string::npos) text.replace(place + layer.size() - number.size(), number.size(), ".*.");
  return text;
}

/// The same of a fault, whatever layer it names.
std::string without_layer(std::string fault, const RunPlan& plan) {
  for (const ParameterPlan& parameter : plan.parameters) fault = without_layer(std::move(fault), parameter);
  return fault;
}

std::string shards_in_words(const ParameterPlan& parameter) {
  std::string text;
  bool equal = true;
  for (const auto& shard : parameter.shards) {
    text += (text.empty() ? "" : " ") + models::shape_text(shard);
    equal = equal && shard == parameter.shards.front();
  }
  if (parameter.shards.empty()) return "";
  if (!equal) return text;
  return parameter.shards.front() == parameter.shape ? "whole" : models::shape_text(parameter.shards.front());
}

/// Rules are long and serve many parameters: they get numbers.
std::map<std::string, std::string> print_rules(const RunPlan& plan, Console& console) {
  std::map<std::string, std::string> numbers = {{"", ""}};
  std::map<std::string, std::int64_t> matched;
  std::vector<std::string> in_order;
  for (const ParameterPlan& parameter : plan.parameters) {
    if (parameter.rule.empty()) continue;
    if (numbers.emplace(parameter.rule, std::to_string(in_order.size() + 1)).second) in_order.push_back(parameter.rule);
    ++matched[parameter.rule];
  }
  if (in_order.empty()) return numbers;
  std::vector<Row> rows;
  for (const std::string& rule : in_order) rows.push_back({numbers[rule], rule, count(matched[rule])});
  console.say("layout rules");
  console.grid({"rule", "", "tensors"}, rows);
  return numbers;
}

void print_parameters(const RunPlan& plan, Console& console) {
  struct Line {
    Row row;
    std::int64_t tensors = 0;
    std::vector<int> stages;
  };
  const std::map<std::string, std::string> rules = print_rules(plan, console);
  std::vector<Line> lines;
  std::map<Row, std::size_t> place;
  for (const ParameterPlan& parameter : plan.parameters) {
    Row row = {without_layer(parameter.name, parameter), models::shape_text(parameter.shape), rules.at(parameter.rule),
               shards_in_words(parameter),
               std::string(parameter.compute_copy ? "fp32, bf16 copy" : "fp32") + (parameter.frozen ? ", frozen" : "")};
    const auto [found, is_new] = place.emplace(row, lines.size());
    if (is_new) lines.push_back({std::move(row), 0, {}});
    Line& line = lines[found->second];
    ++line.tensors;
    if (std::ranges::find(line.stages, parameter.stage) == line.stages.end()) line.stages.push_back(parameter.stage);
  }
  std::vector<Row> rows;
  for (Line& line : lines) {
    line.row.insert(line.row.begin() + 1, count(line.tensors));
    line.row.push_back(in_words(line.stages));
    rows.push_back(std::move(line.row));
  }
  console.say("parameters");
  console.grid({"name", "tensors", "shape", "rule", "shard of a tensor rank", "kept as", "stage"}, rows);
}

void print_layout(const RunPlan& plan, Console& console) {
  if (plan.faults.empty()) {
    console.say(plan.whole.empty() ? "layout: no faults"
                                   : "layout: no faults; large and yet whole on every tensor rank:");
    for (const std::string& name : plan.whole) console.say("  " + name);
    return;
  }
  console.say("layout: " + std::to_string(plan.faults.size()) +
              (plan.faults.size() == 1 ? " fault, for which" : " faults, for which") + " the run would be refused");
  std::vector<std::pair<std::string, int>> alike;
  for (const std::string& fault : plan.faults) {
    const std::string text = without_layer(fault, plan);
    const auto found = std::ranges::find(alike, text, &std::pair<std::string, int>::first);
    if (found == alike.end()) {
      alike.emplace_back(text, 1);
    } else {
      ++found->second;
    }
  }
  for (const auto& [text, times] : alike) {
    console.say("  " + text + (times > 1 ? " (" + std::to_string(times) + " layers)" : ""));
  }
}

std::string place_in_words(const dist::MeshCoordinates& place) {
  return std::to_string(place.data) + " " + std::to_string(place.pipeline) + " " + std::to_string(place.tensor);
}

void print_ranks(const RunPlan& plan, Console& console) {
  std::vector<Row> memory_rows, traffic_rows;
  for (const GroupPlan& group : plan.groups) {
    const auto a_step = [&](std::int64_t bytes) { return mebibytes(bytes / std::max<std::int64_t>(1, group.steps)); };
    for (const RankPlan& rank : group.plans) {
      const RankMemory& memory = rank.memory;
      memory_rows.push_back({std::to_string(rank.rank), place_in_words(rank.place), mebibytes(memory.weights),
                             mebibytes(memory.compute_copies), mebibytes(memory.gradients),
                             mebibytes(memory.deterministic_sets), mebibytes(memory.optimizer),
                             mebibytes(memory.activations), mebibytes(memory.working), mebibytes(memory.total())});
      traffic_rows.push_back({std::to_string(rank.rank), place_in_words(rank.place), a_step(rank.sent.data),
                              a_step(rank.sent.pipeline), a_step(rank.sent.tensor)});
    }
  }
  console.say("memory of a rank, MiB of tensors (place: data pipeline tensor)");
  console.grid({"rank", "place", "weights", "compute copies", "gradients", "deterministic sets", "optimizer",
                "activations", "working", "in all"},
               memory_rows);
  console.say("sent by a rank in a step, MiB, mean of all steps");
  console.grid({"rank", "place", "data", "pipeline", "tensor"}, traffic_rows);
  console.say("checkpoint: " + mebibytes(plan.checkpoint_bytes) + " MiB of tensors");
}

void print_steps(const RunPlan& plan, Console& console) {
  std::vector<Row> rows;
  for (const JobSteps& job : plan.jobs) {
    rows.push_back({job.name, count(static_cast<std::int64_t>(job.training_rows)),
                    count(static_cast<std::int64_t>(job.validation_rows)), count(job.steps_an_epoch), count(job.steps),
                    base::format("%.6g", job.rates.first), base::format("%.6g", job.rates.peak),
                    base::format("%.6g", job.rates.last)});
  }
  console.say("steps: " + count(plan.steps()) + " in all");
  console.grid({"job", "rows", "validation", "an epoch", "steps", "learning rate: first", "peak", "last"}, rows);
}

}  // namespace

void print_plan(const RunPlan& plan, Console& console) {
  console.table("plan of " + std::string(word_of(plan.command)) + " on " + std::to_string(plan.num_ranks) +
                    (plan.num_ranks == 1 ? " rank" : " ranks"),
                {{"model", plan.model},
                 {"precision", plan.precision},
                 {"training data", plan.data},
                 {"counted from", plan.data_source}});
  for (const GroupPlan& group : plan.groups) print_mesh(plan, group, console);
  print_parameters(plan, console);
  print_layout(plan, console);
  if (plan.faults.empty()) print_ranks(plan, console);
  print_steps(plan, console);
}

}  // namespace meshfold::jobs
