#include "jobs/train/trainer.hpp"

#include <ATen/ops/isfinite.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

#include "data/step_plan.hpp"
#include "dist/agreement.hpp"
#include "jobs/checkpoint/store.hpp"
#include "jobs/error.hpp"
#include "jobs/train/gradient_exchange.hpp"
#include "jobs/train/pack_input.hpp"
#include "jobs/train/parts.hpp"
#include "jobs/train/predict_rows.hpp"
#include "jobs/train/state_pieces.hpp"
#include "jobs/train/train_step.hpp"
#include "jobs/train/training_progress.hpp"

namespace meshfold::jobs {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

data::LastStep last_step_of(const TrainingSection& training) {
  return training.drop_last ? data::LastStep::kDrop : data::LastStep::kShort;
}

void check_task(const TrainTask& task, const TrainSettings& settings) {
  const TrainingSection& training = settings.training;
  std::vector<std::string> faults;
  if (training.batch_size < 1) faults.emplace_back("training.batch_size must be at least 1");
  if (training.epochs < 1 && training.max_steps < 1) faults.emplace_back("training.epochs must be at least 1");
  if (training.deterministic && settings.threads < 1) {
    faults.emplace_back(
        "training.deterministic needs a fixed run.threads: kernels change bits with their number of threads");
  }
  if (task.training_rows.empty()) faults.push_back(task.name + " has no training rows");
  if (training.drop_last && task.training_rows.size() < static_cast<std::size_t>(std::max(training.batch_size, 0))) {
    faults.push_back(task.name + " has fewer training rows (" + std::to_string(task.training_rows.size()) +
                     ") than training.batch_size; lower it or set training.drop_last = false");
  }
  if (task.validation_rows.empty() && (training.early_stopping.patience > 0 || settings.plateau.patience)) {
    faults.push_back(task.name +
                     " has no validation rows, so training.early_stopping_patience and plateau.patience have no score "
                     "to go by; give a fold column (data.fold) or unset them");
  }
  if (!faults.empty()) throw ConfigError(faults);
}

/// The trainer's state and the verbs of its loop.
class Trainer {
 public:
  Trainer(const TrainTask& task, const TrainSettings& settings, models::Model& model, const dist::Mesh& mesh,
          const data::Dataset& dataset, TrainListener& listener)
      : task_(task),
        settings_(settings),
        model_(model),
        mesh_(mesh),
        dataset_(dataset),
        listener_(listener),
        parts_(resolve_parts(settings.training, dataset, mesh.data().size(), mesh.pipeline().size())),
        steps_per_epoch_(static_cast<std::int64_t>(
            data::steps_per_epoch(task.training_rows.size(), static_cast<std::size_t>(settings.training.batch_size),
                                  last_step_of(settings.training)))),
        num_steps_(settings.training.max_steps > 0 ? settings.training.max_steps
                                                   : settings.training.epochs * steps_per_epoch_),
        identity_{task.config_hash, dataset.source_hash(), hash_rows(task.training_rows, task.validation_rows),
                  settings.seed, num_steps_},
        better_(settings.metric.better_for(model.head().task)),
        early_stopping_(settings.training.early_stopping, better_),
        plateau_(settings.plateau, better_),
        exchange_(model.parameters(), mesh, settings.state_sharding, settings.bucket_bytes),
        optimizer_(make_optimizer(model.parameters(), settings.optimizer, exchange_.owned())),
        train_step_(step_settings(task.name, settings, parts_), model, mesh, dataset, {exchange_, *optimizer_}),
        meter_(mesh),
        store_(task.directory, mesh.all()) {}

  TrainOutcome run(const std::function<bool()>& stop_requested);

 private:
  void resume();
  bool step(bool stop_requested);
  double learning_rate() const;
  bool finished() const { return progress_.step >= num_steps_ || progress_.stopped_early; }
  bool evaluation_due() const;
  void evaluate();
  bool is_best(double score) const;
  void heed(double score);
  void commit();
  void select_weights();
  void check_equal_weights() const;

  std::vector<checkpoint::Piece> model_pieces() const {
    const auto& store = std::as_const(model_).parameters();
    return pieces_of("model/", store, whole_range(store), store.flat(), HeldBy::kAllDataRanks, mesh_);
  }
  std::vector<checkpoint::Piece> all_pieces() const;
  /// Calls the listener on the job's first rank. What it throws is this rank's alone; it is kept until the ranks agree
  /// next.
  template <typename Call>
  void tell(Call call);
  void agree_on_listener();
  void report_usage();
  TrainOutcome outcome(bool stopped, std::int64_t selected_step) const;

  const TrainTask& task_;
  const TrainSettings& settings_;
  models::Model& model_;
  const dist::Mesh& mesh_;
  const data::Dataset& dataset_;
  TrainListener& listener_;
  int parts_;
  std::int64_t steps_per_epoch_, num_steps_;
  TrainingIdentity identity_;
  Better better_;  ///< of the selecting score
  EarlyStopping early_stopping_;
  PlateauDecay plateau_;
  GradientExchange exchange_;
  std::unique_ptr<Optimizer> optimizer_;
  TrainStep train_step_;
  UsageMeter meter_;
  checkpoint::Store store_;
  TrainingProgress progress_;
  std::optional<data::StepPlan> epoch_plan_;
  std::int64_t planned_epoch_ = -1;
  std::exception_ptr listener_failure_;
  double seconds_before_ = 0.0;  ///< of the processes whose work this one continues
  Clock::time_point start_;
};

TrainOutcome Trainer::run(const std::function<bool()>& stop_requested) {
  resume();
  check_equal_weights();
  start_ = Clock::now();
  for (;;) {
    if (evaluation_due()) evaluate();
    if (finished()) break;
    const bool stop = step(stop_requested());
    const std::int64_t every = settings_.checkpoint.every_steps;
    if (stop || (every > 0 && progress_.step % every == 0 && !evaluation_due())) commit();
    if (stop) {
      report_usage();
      agree_on_listener();
      return outcome(true, progress_.step);
    }
  }
  report_usage();
  agree_on_listener();
  select_weights();
  return outcome(false,
                 settings_.select == Select::kBest && progress_.best_step > 0 ? progress_.best_step : progress_.step);
}

void Trainer::resume() {
  std::vector<std::string> notes;
  const std::optional<checkpoint::Store::Found> found = store_.find_newest(notes);
  tell([&] { listener_.on_resume(found ? found->step : 0); });
  for (const std::string& note : notes) tell([&] { listener_.on_note(note); });
  if (found) {
    const std::string name = "checkpoint-" + std::to_string(found->step);
    const ResumedState resumed = from_state(found->state, identity_, (task_.directory / name).string());
    store_.load(found->step, all_pieces(), checkpoint::Store::Names::kExact);
    optimizer_->resume(resumed.num_updates);
    progress_ = resumed.progress;
    seconds_before_ = progress_.seconds;
    early_stopping_ = EarlyStopping(settings_.training.early_stopping, better_, progress_.early_stopping);
    plateau_ = PlateauDecay(settings_.plateau, better_, progress_.plateau);
    std::string text = "resumed from " + name;
    if (resumed.parts != parts_ || resumed.data_ranks != mesh_.data().size()) {
      text += " (made with " + std::to_string(resumed.parts) + " packs a step on " +
              std::to_string(resumed.data_ranks) + " data ranks, now " + std::to_string(parts_) + " on " +
              std::to_string(mesh_.data().size()) + ")";
    }
    tell([&] { listener_.on_note(text); });
  }
  model_.parameters().refresh_compute_copies();
}

/// Ranks that start apart would train apart without any error.
void Trainer::check_equal_weights() const {
  const std::vector<std::string> hashes = mesh_.data().all_gather_bytes(model_.parameters().hash());
  for (std::size_t rank = 1; rank < hashes.size(); ++rank) {
    if (hashes[rank] != hashes[0]) {
      throw std::runtime_error(
          task_.name + ": data rank " + std::to_string(rank) +
          " starts from other weights than data rank 0; check that all machines see the same model files");
    }
  }
}

bool Trainer::step(bool stop_requested) {
  const Clock::time_point begin = Clock::now();
  const std::int64_t epoch = progress_.step / steps_per_epoch_;
  if (epoch != planned_epoch_) {
    epoch_plan_.emplace(settings_.seed, static_cast<std::uint32_t>(epoch), task_.training_rows,
                        static_cast<std::size_t>(settings_.training.batch_size), last_step_of(settings_.training));
    planned_epoch_ = epoch;
  }
  const auto rows = epoch_plan_->step(static_cast<std::size_t>(progress_.step % steps_per_epoch_));
  const double rate = learning_rate();
  meter_.begin_step();
  const StepResult result = train_step_.run(rows, progress_.step, rate, {stop_requested, listener_failure_});
  meter_.end_step();
  ++progress_.step;
  progress_.cursor += static_cast<std::int64_t>(rows.size());

  const double seconds = seconds_since(begin);
  tell([&] {
    StepReport report;
    report.step = progress_.step;
    report.num_steps = num_steps_;
    report.epoch = static_cast<double>(progress_.step) / static_cast<double>(steps_per_epoch_);
    report.samples = progress_.cursor;
    report.loss = result.loss;
    report.learning_rate = rate;
    report.grad_norm = result.grad_norm;
    report.tokens_per_s = static_cast<double>(result.tokens) / seconds;
    report.samples_per_s = static_cast<double>(rows.size()) / seconds;
    listener_.on_step(report);
  });
  return result.stop;
}

double Trainer::learning_rate() const {
  return settings_.optimizer.learning_rate * progress_.plateau.factor *
         learning_rate_factor(settings_.schedule, progress_.step, {num_steps_, steps_per_epoch_});
}

/// At epoch ends, every training.eval_every_steps and at the last step, once. Asked again after a resume: a run that
/// was stopped at the end of an epoch has not evaluated it yet.
bool Trainer::evaluation_due() const {
  if (progress_.step == 0 || progress_.evaluated_step == progress_.step) return false;
  const std::int64_t every = settings_.training.eval_every_steps;
  return progress_.step % steps_per_epoch_ == 0 || progress_.step == num_steps_ ||
         (every > 0 && progress_.step % every == 0);
}

void Trainer::evaluate() {
  const Clock::time_point begin = Clock::now();
  if (!task_.validation_rows.empty()) {
    const at::Tensor predictions =
        predict_rows(model_, mesh_, dataset_, task_.validation_rows, settings_.evaluation_tokens_per_pack);
    if (!at::isfinite(predictions).all().item<bool>()) {
      throw BadNumbersError(task_.name + ", evaluation after step " + std::to_string(progress_.step) +
                            ": a prediction is not a finite number; lower optimizer.learning_rate or use "
                            "precision.compute = fp32");
    }
    const Scores scores = compute_scores(model_.head(), predictions, targets_of(dataset_, task_.validation_rows),
                                         settings_.metric.name_for(model_.head().task));
    const double score = scores.front().second;
    const bool best = is_best(score);
    progress_.last_scores = scores;
    if (best) {
      progress_.best_scores = scores;
      progress_.best_step = progress_.step;
    }
    const double epoch = static_cast<double>(progress_.step) / static_cast<double>(steps_per_epoch_);
    tell([&] { listener_.on_evaluation({progress_.step, epoch, scores, best, seconds_since(begin)}); });
    if (std::isnan(score)) {
      tell([&] {
        listener_.on_note(scores.front().first + " is undefined on the validation rows after step " +
                          std::to_string(progress_.step) + ", which counts as no improvement");
      });
    }
    heed(score);
  }
  progress_.evaluated_step = progress_.step;
  commit();
}

/// An undefined score is never the best.
bool Trainer::is_best(double score) const {
  if (std::isnan(score)) return false;
  if (progress_.best_step == 0) return true;
  const double best = progress_.best_scores.front().second;
  return better_ == Better::kLarger ? score > best : score < best;
}

/// What follows from an evaluation's score. Every rank has the same score, so all decide alike.
void Trainer::heed(double score) {
  if (early_stopping_.observe(score) && progress_.step < num_steps_) {
    progress_.stopped_early = true;
    tell([&] {
      listener_.on_note("stopped early at step " + std::to_string(progress_.step) + " of " +
                        std::to_string(num_steps_) + ": no improvement in " +
                        std::to_string(settings_.training.early_stopping.patience) + " evaluations");
    });
  }
  if (plateau_.observe(score)) {
    tell([&] {
      listener_.on_note("learning rate lowered after step " + std::to_string(progress_.step) + ", now " +
                        std::to_string(plateau_.state().factor) + " of the schedule's: no improvement");
    });
  }
  progress_.early_stopping = early_stopping_.state();
  progress_.plateau = plateau_.state();
}

void Trainer::commit() {
  progress_.seconds = seconds_before_ + seconds_since(start_);
  store_.commit(
      progress_.step, all_pieces(),
      to_state(progress_, identity_, optimizer_->num_updates(), steps_per_epoch_, parts_, mesh_.data().size()));
  store_.retain(settings_.checkpoint.keep_last, {progress_.best_step});
}

void Trainer::select_weights() {
  if (settings_.select != Select::kBest || progress_.best_step == 0 || progress_.best_step == progress_.step) return;
  store_.find(progress_.best_step);
  store_.load(progress_.best_step, model_pieces(), checkpoint::Store::Names::kSubset);
  model_.parameters().refresh_compute_copies();
}

std::vector<checkpoint::Piece> Trainer::all_pieces() const {
  const auto& store = model_.parameters();
  std::vector<checkpoint::Piece> all = model_pieces();
  const HeldBy held_by = exchange_.sharded() ? HeldBy::kThisDataRank : HeldBy::kAllDataRanks;
  for (const Optimizer::State& state : optimizer_->states()) {
    std::ranges::move(
        pieces_of("optimizer/" + state.name + "/", store, optimizer_->ranges(), state.values, held_by, mesh_),
        std::back_inserter(all));
  }
  return all;
}

template <typename Call>
void Trainer::tell(Call call) {
  if (mesh_.all().rank() != 0 || listener_failure_) return;
  try {
    call();
  } catch (...) {
    listener_failure_ = std::current_exception();
  }
}

void Trainer::report_usage() {
  const std::vector<RankUsage> ranks = meter_.gather();
  if (ranks.front().steps > 0) tell([&] { listener_.on_usage(ranks); });
}

void Trainer::agree_on_listener() {
  dist::agree(mesh_.all(), "report on " + task_.name, [&] {
    if (listener_failure_) std::rethrow_exception(listener_failure_);
  });
}

TrainOutcome Trainer::outcome(bool stopped, std::int64_t selected_step) const {
  TrainOutcome result;
  result.stopped = stopped;
  result.stopped_early = progress_.stopped_early;
  result.steps = progress_.step;
  result.samples_trained = progress_.cursor;
  result.seconds = seconds_before_ + seconds_since(start_);
  result.best_scores = progress_.best_scores;
  result.last_scores = progress_.last_scores;
  result.best_step = progress_.best_step;
  result.selected_step = selected_step;
  return result;
}

}  // namespace

TrainOutcome train(const TrainTask& task, const TrainSettings& settings, models::Model& model, const dist::Mesh& mesh,
                   const data::Dataset& dataset, TrainListener& listener, const std::function<bool()>& stop_requested) {
  check_task(task, settings);
  return Trainer(task, settings, model, mesh, dataset, listener).run(stop_requested);
}

}  // namespace meshfold::jobs
