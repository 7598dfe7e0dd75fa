#include "jobs/run/job.hpp"

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <optional>

#include "data/step_plan.hpp"
#include "dist/agreement.hpp"
#include "jobs/error.hpp"
#include "jobs/report/metrics_log.hpp"
#include "jobs/report/tensorboard_log.hpp"
#include "jobs/run/job_setup.hpp"
#include "jobs/run/startup_facts.hpp"
#include "jobs/train/feature_scales.hpp"
#include "jobs/train/pack_input.hpp"
#include "jobs/train/predict_rows.hpp"
#include "jobs/train/trainer.hpp"
#include "models/directory/load_model.hpp"

namespace meshfold::jobs {
namespace {

/// The job's metrics file, this rank's log, and on rank 0 the progress of all jobs. Of a job's first rank.
class JobListener final : public TrainListener {
 public:
  JobListener(const JobPlan& plan, const RunConfig& config, ProgressBoard& board, Console& console)
      : name_(plan.name),
        metrics_(std::filesystem::path(config.run.directory) / plan.name, plan.fold, config.log.every_steps),
        board_(board),
        console_(console) {
    if (config.log.tensorboard) {
      events_.emplace(std::filesystem::path(config.run.directory) / plan.name, config.log.every_steps, config.ini_text);
    }
  }

  void on_resume(std::int64_t step) override {
    metrics_.discard_after(step);
    if (events_) events_->on_resume(step);
  }
  void on_step(const StepReport& report) override {
    metrics_.on_step(report);
    if (events_) events_->on_step(report);
    // The first step of a process warms up caches and has no predecessor to count from.
    if (last_samples_ > 0) {
      const auto samples = static_cast<double>(report.samples - last_samples_);
      samples_ += samples;
      seconds_ += samples / report.samples_per_s;
    }
    last_samples_ = report.samples;
    board_.refresh();
  }
  void on_evaluation(const EvaluationReport& report) override {
    metrics_.on_evaluation(report);
    if (events_) events_->on_evaluation(report);
    console_.log(name_ + ", step " + std::to_string(report.step) + ": " + short_text(report.scores) +
                 (report.best ? " (best so far)" : ""));
    board_.refresh();
  }
  void on_note(const std::string& text) override {
    metrics_.on_note(text);
    if (events_) events_->on_note(text);
    console_.say(name_ + ": " + text);
  }
  void on_usage(const std::vector<RankUsage>& ranks) override {
    metrics_.on_usage(ranks);
    const auto most = [&](std::uint64_t RankUsage::*bytes) {
      return with_separators(std::ranges::max(ranks, {}, bytes).*bytes >> 20);
    };
    console_.log(name_ + ": a step holds up to " + most(&RankUsage::step_peak_bytes) +
                 " MiB of tensors a rank; at most " + most(&RankUsage::resident_bytes) + " MiB were resident");
  }
  /// Over the training steps of this process, without evaluation and checkpoints; 0 if there were none.
  double samples_per_s() const { return seconds_ > 0 ? samples_ / seconds_ : 0; }

 private:
  std::string name_;
  MetricsLog metrics_;
  std::optional<TensorBoardLog> events_;
  ProgressBoard& board_;
  Console& console_;
  std::int64_t last_samples_ = 0;
  double samples_ = 0, seconds_ = 0;
};

/// Of the ranks that are not their job's first.
class SilentListener final : public TrainListener {
  void on_step(const StepReport&) override {}
  void on_evaluation(const EvaluationReport&) override {}
  void on_note(const std::string&) override {}
};

std::vector<std::uint32_t> all_rows(const data::Dataset& dataset) {
  std::vector<std::uint32_t> rows(dataset.num_samples());
  std::iota(rows.begin(), rows.end(), 0U);
  return rows;
}

JobRecord make_record(const JobPlan& plan, const JobInputs& inputs, const models::HeadConfig& head,
                      const TrainOutcome& outcome) {
  JobRecord record;
  record.name = plan.name;
  record.fold = plan.fold;
  record.num_folds = plan.num_folds;
  record.selected_step = outcome.selected_step;
  record.steps = outcome.steps;
  record.samples_trained = outcome.samples_trained;
  record.training_samples = plan.training_rows.size();
  record.seconds = outcome.seconds;
  record.last_scores = outcome.last_scores;
  record.better = inputs.config.cv.metric.better_for(head.task);
  record.head = head;
  record.model_path = inputs.config.model.path;
  return record;
}

JobResult predict_result(const JobPlan& plan, const JobInputs& inputs, const TrainOutcome& outcome,
                         models::Model& model, const dist::Mesh& mesh) {
  JobResult result{make_record(plan, inputs, model.head(), outcome), plan.validation_rows, {}, {}};
  const auto max_tokens = inputs.config.predict.max_tokens_per_pack;
  if (!plan.validation_rows.empty()) {
    result.validation_predictions = predict_rows(model, mesh, inputs.training, plan.validation_rows, max_tokens);
    // Of the predictions that are kept, rather than the trainer's word for it.
    result.record.scores =
        compute_scores(inputs.head, result.validation_predictions, targets_of(inputs.training, plan.validation_rows),
                       inputs.config.cv.metric.name_for(inputs.head.task));
  }
  if (inputs.test != nullptr) {
    result.test_predictions = predict_rows(model, mesh, *inputs.test, all_rows(*inputs.test), max_tokens);
  }
  return result;
}

}  // namespace

std::vector<JobPlan> plan_folds(const Folds& folds) {
  std::vector<JobPlan> plans;
  for (int fold = 0; fold < folds.num_folds; ++fold) {
    plans.push_back(
        {"fold-" + std::to_string(fold), fold, folds.num_folds, folds.training_rows(fold), folds.held_out_rows(fold)});
  }
  return plans;
}

JobPlan plan_training(const data::Dataset& dataset) {
  JobPlan plan;
  plan.name = "train";
  for (std::uint32_t row = 0; row < dataset.num_samples(); ++row) {
    const bool held_out = dataset.has_folds() && dataset.fold(row) == 0;
    (held_out ? plan.validation_rows : plan.training_rows).push_back(row);
  }
  return plan;
}

std::vector<RankGroup> group_ranks(const RunConfig& config, const std::vector<JobPlan>& folds,
                                   const data::Dataset& dataset, int num_ranks) {
  std::vector<std::uint64_t> costs;
  for (const auto& fold : folds) {
    std::uint64_t tokens = 0;
    for (const auto row : fold.training_rows) tokens += dataset.sample_length(row);
    costs.push_back(tokens);
  }
  const int unit = std::max(config.mesh.pipeline, 1) * std::max(config.mesh.tensor, 1);
  if (num_ranks % unit != 0) {
    throw ConfigError("mesh.tensor x mesh.pipeline = " + std::to_string(unit) + " does not divide the " +
                      std::to_string(num_ranks) + " ranks; start a multiple of it");
  }
  const int units = num_ranks / unit, most = std::min(static_cast<int>(folds.size()), units);
  auto groups = place_folds(costs, units, std::min(config.cv.groups > 0 ? config.cv.groups : most, most));
  spread_over_ranks(groups, unit);
  return groups;
}

std::int64_t steps_an_epoch(const TrainingSection& training, std::size_t num_rows) {
  return static_cast<std::int64_t>(
      data::steps_per_epoch(num_rows, static_cast<std::size_t>(training.batch_size),
                            training.drop_last ? data::LastStep::kDrop : data::LastStep::kShort));
}

std::int64_t num_steps_of(const TrainingSection& training, std::size_t num_rows) {
  return training.max_steps > 0 ? training.max_steps : steps_an_epoch(training, num_rows) * training.epochs;
}

JobOutcome run_job(const JobPlan& plan, const JobInputs& inputs, const dist::Mesh& mesh, ProgressBoard& board,
                   RunEnvironment& environment) {
  auto config = inputs.config;
  config.run.seed = job_seed(inputs.config.run.seed, plan.fold);
  const auto directory = std::filesystem::path(config.run.directory) / plan.name;
  const bool first_rank = mesh.all().rank() == 0;

  std::unique_ptr<models::Model> model;
  std::unique_ptr<JobListener> listener;
  SilentListener silence;
  dist::agree(mesh.all(), "load the model for " + plan.name, [&] {
    const auto head = with_feature_scales(inputs.head, inputs.training, plan.training_rows);
    model = models::load_model(config.model.path,
                               load_options_of(inputs.config, head, plan.fold, layout_of(inputs.config, mesh)))
                .model;
    if (first_rank) listener = std::make_unique<JobListener>(plan, config, board, environment.console);
  });

  const TrainTask task{plan.name, directory, plan.training_rows, plan.validation_rows, config.hash};
  TrainListener& heard_by = listener ? static_cast<TrainListener&>(*listener) : silence;
  TrainOutcome outcome;
  try {
    outcome = train(task, train_settings(config), *model, mesh, inputs.training, heard_by, environment.stop_requested);
  } catch (const BadNumbersError& error) {  // agreed: every rank of the mesh is here
    return {JobState::kBadNumbers, error.what()};
  }
  if (outcome.stopped) return {JobState::kStopped, "stopped at step " + std::to_string(outcome.steps)};

  auto result = predict_result(plan, inputs, outcome, *model, mesh);
  if (listener) result.record.samples_per_s = listener->samples_per_s();
  dist::agree(mesh.all(), "commit the result of " + plan.name, [&] {
    if (first_rank) commit_result(directory, result, inputs.origin);
  });
  return {};
}

}  // namespace meshfold::jobs
