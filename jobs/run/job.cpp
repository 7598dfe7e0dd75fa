#include "jobs/run/job.hpp"

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "base/text.hpp"
#include "data/step_plan.hpp"
#include "dist/agreement.hpp"
#include "jobs/config/job_setup.hpp"
#include "jobs/error.hpp"
#include "jobs/report/metrics_log.hpp"
#include "jobs/report/tensorboard_log.hpp"
#include "jobs/train/feature_scales.hpp"
#include "jobs/train/pack_input.hpp"
#include "jobs/train/predict_rows.hpp"
#include "jobs/train/trainer.hpp"
#include "models/directory/load_model.hpp"

namespace meshfold::jobs {
namespace {

/// On a job's first rank: keeps its metrics file and this rank's log, and shows the progress of all jobs on rank 0.
class JobListener final : public TrainListener {
 public:
  JobListener(const JobPlan& plan, const RunConfig& config, ProgressBoard& board, Console& console)
      : name_(plan.id.name),
        metrics_(std::filesystem::path(config.run.directory) / plan.id.name, plan.id.fold, config.log.every_steps),
        board_(board),
        console_(console) {
    if (config.log.tensorboard) {
      events_.emplace(std::filesystem::path(config.run.directory) / plan.id.name, config.log.every_steps,
                      config.ini_text);
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
      return base::with_separators(std::ranges::max(ranks, {}, bytes).*bytes >> 20);
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

/// On the ranks that are not their job's first.
class SilentListener final : public TrainListener {
  void on_step(const StepReport&) override {}
  void on_evaluation(const EvaluationReport&) override {}
  void on_note(const std::string&) override {}
};

JobRecord make_record(const JobPlan& plan, const JobInputs& inputs, const models::HeadConfig& head,
                      const TrainOutcome& outcome) {
  JobRecord record;
  record.id = plan.id;
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
  const RunConfig config = config_of_job(inputs.config, plan.id);
  const auto directory = std::filesystem::path(config.run.directory) / plan.id.name;
  const bool first_rank = mesh.all().rank() == 0;

  std::unique_ptr<models::Model> model;
  std::unique_ptr<JobListener> listener;
  SilentListener silence;
  dist::agree(mesh.all(), "load the model for " + plan.id.name, [&] {
    const auto head = with_feature_scales(inputs.head, inputs.training, plan.training_rows);
    model = models::load_model(config.model.path, load_options_of(config, head, layout_of(config, mesh))).model;
    if (first_rank) listener = std::make_unique<JobListener>(plan, config, board, environment.console);
  });

  const TrainTask task{plan.id.name, directory, plan.training_rows, plan.validation_rows, config.hash};
  TrainListener& report_to = listener ? static_cast<TrainListener&>(*listener) : silence;
  TrainOutcome outcome;
  try {
    outcome = train(task, train_settings(config), *model, mesh, inputs.training, report_to, environment.stop_requested);
  } catch (const BadNumbersError& error) {  // agreed: every rank of the mesh is here
    return {JobState::kBadNumbers, error.what()};
  }
  if (outcome.stopped) return {JobState::kStopped, "stopped at step " + std::to_string(outcome.steps)};

  auto result = predict_result(plan, inputs, outcome, *model, mesh);
  if (listener) result.record.samples_per_s = listener->samples_per_s();
  dist::agree(mesh.all(), "commit the result of " + plan.id.name, [&] {
    if (first_rank) commit_result(directory, result, inputs.origin);
  });
  return {};
}

}  // namespace meshfold::jobs
