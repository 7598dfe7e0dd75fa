#include "jobs/run/startup_facts.hpp"

#include <algorithm>
#include <cstdio>
#include <set>

#include "base/text.hpp"
#include "jobs/run/job.hpp"
#include "jobs/train/parts.hpp"
#include "models/directory/load_model.hpp"
#include "models/networks/pooling_names.hpp"
#include "models/ops/kernels/matmul.hpp"

namespace meshfold::jobs {
namespace {

/// The first names and how many more there are: a list of 100 tensors is no table cell.
std::string shorten(const std::vector<std::string>& names) {
  if (names.empty()) return "none";
  constexpr std::size_t kShown = 6;
  return base::shortened(names, kShown) + (names.size() > kShown ? " (see the log)" : "");
}

const char* outputs_in_words(models::Task task) {
  switch (task) {
    case models::Task::kRegression:
      return " regression targets";
    case models::Task::kClassification:
      return " classes";
    case models::Task::kMultiLabel:
      return " labels";
  }
  return " outputs";
}

std::string parameter_groups(const models::ParameterStore& store) {
  std::size_t tensors[2] = {0, 0};
  std::uint64_t elements[2] = {0, 0};
  for (const auto& parameter : store) {
    const auto group = parameter.spec.decay == models::Decay::kYes ? 0 : 1;
    ++tensors[group];
    elements[group] += static_cast<std::uint64_t>(parameter.num_elements);
  }
  const auto text = [&](int group) {
    return std::to_string(tensors[group]) + " tensors (" + base::with_separators(elements[group]) + " values)";
  };
  return "decayed: " + text(0) + "; not decayed (biases, norms): " + text(1);
}

}  // namespace

Facts machine_facts(const Placement& placement, const dist::GroupMaker& groups) {
  std::set<std::string> distinct;
  for (const auto& rank : placement.ranks) distinct.insert(rank.host);
  auto ranks = std::to_string(placement.ranks.size()) + " on " + std::to_string(distinct.size()) +
               (distinct.size() == 1 ? " machine (" : " machines (");
  for (const auto& host : distinct) ranks += (host == *distinct.begin() ? "" : ", ") + host;
  const auto [fewest, most] = std::ranges::minmax(placement.threads);
  const auto threads = std::to_string(fewest) + (fewest == most ? "" : " to " + std::to_string(most));
  return {{"ranks", ranks + ")"},
          {"threads a rank", threads},
          {"placement", dist::describe_placement(placement.ranks, placement.threads)},
          {"device", groups.description()}};
}

Facts model_facts(const RunConfig& config, const models::LoadedModel& loaded) {
  const auto& head = loaded.model->head();
  auto model = config.model.path + ": " + loaded.model->description();
  auto inputs = models::name_of(head.pooling) + " pooling";
  if (head.views > 1) inputs += " of " + std::to_string(head.views) + " texts side by side";
  if (!head.features.empty()) inputs += " and " + std::to_string(head.features.size()) + " standardised features";
  auto outputs = inputs + ", " + std::to_string(head.labels.size()) + outputs_in_words(head.task);
  const auto precision =
      std::string(config.precision == Precision::kBf16 ? "bf16 (fp32 masters, norms, softmax, sums)" : "fp32") + "; " +
      models::ops::kernel_paths();
  const auto& store = loaded.model->parameters();
  Facts facts = {{"model", model},
                 {"head", outputs},
                 {"left out", shorten(loaded.report.left_out)},
                 {"initialised", shorten(loaded.report.initialized)},
                 {"parameters", parameter_groups(std::as_const(*loaded.model).declaration())},
                 {"precision", precision}};
  if (std::ranges::any_of(store, [](const auto& parameter) { return parameter.spec.sharded(); })) {
    facts.emplace_back("tensor axis", base::with_separators(static_cast<std::uint64_t>(store.num_elements())) +
                                          " values on a rank; large and yet whole on each: " +
                                          shorten(models::large_whole_parameters(store)));
  }
  return facts;
}

Facts step_facts(const RunConfig& config, const data::Dataset& dataset, std::size_t num_rows,
                 const dist::MeshShape& shape) {
  const int parts = resolve_parts(config.training, dataset, shape.data, shape.pipeline);
  const auto steps = num_steps_of(config.training, num_rows);
  auto text = base::with_separators(static_cast<std::uint64_t>(steps));
  if (config.training.max_steps == 0) text += " (" + std::to_string(config.training.epochs) + " epochs)";
  text += ", batch " + std::to_string(config.training.batch_size) + " in " + std::to_string(parts) +
          " packs without padding";
  if (config.training.deterministic) text += ", deterministic";
  const bool is_coupled = config.loss.kind == models::LossKind::kRmse || config.loss.kind == models::LossKind::kMcrmse;
  if (is_coupled && parts > shape.data) {
    text += ", each computed forward twice, since the loss couples the samples of a step";
  }
  auto optimizer = std::string(config.optimizer.kind == OptimizerKind::kSgd ? "SGD" : "AdamW") + ", learning rate " +
                   base::format("%g", config.optimizer.learning_rate);
  optimizer += ", weight decay " + base::format("%g", config.optimizer.weight_decay);
  if (config.training.max_grad_norm > 0)
    optimizer += ", gradient norm at most " + base::format("%g", config.training.max_grad_norm);
  auto schedule =
      describe(config.schedule, config.optimizer.learning_rate, {steps, steps_an_epoch(config.training, num_rows)});
  if (config.plateau.patience) {
    schedule += "; times " + base::format("%g", config.plateau.factor) + " after " +
                std::to_string(*config.plateau.patience + 1) + " evaluations without improvement";
  }
  if (config.training.early_stopping.patience > 0) {
    schedule += "; stops early after " + std::to_string(config.training.early_stopping.patience) +
                " evaluations without improvement";
  }
  return {{"steps a job", text}, {"optimizer", optimizer}, {"schedule", schedule}};
}

RunNotes start_notes(const std::string& command, const RunConfig& config, const models::HeadConfig& head,
                     const Facts& facts, const data::Dataset& training) {
  RunNotes notes;
  notes.command = command;
  notes.task = head.task;
  notes.labels = head.labels;
  notes.facts = facts;
  notes.lengths = count_lengths(training, static_cast<std::size_t>(config.tokenizer.max_length));
  return notes;
}

}  // namespace meshfold::jobs
