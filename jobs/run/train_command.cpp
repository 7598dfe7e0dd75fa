#include "jobs/run/train_command.hpp"

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "base/text.hpp"
#include "jobs/config/job_setup.hpp"
#include "jobs/results/export_job.hpp"
#include "jobs/results/prediction_table.hpp"
#include "jobs/results/submission.hpp"
#include "jobs/run/closing.hpp"
#include "jobs/run/training_run.hpp"
#include "jobs/train/pack_input.hpp"

namespace meshfold::jobs {
namespace {

/// Exports the model, writes validation.csv (if there are validation rows) and the report. Rank 0 alone.
void close_training(const TrainingRun& run, const JobResult& result) {
  const auto& config = run.config();
  const auto& record = result.record;
  auto notes = run.notes();
  notes.pooled = record.scores;
  if (!result.rows.empty()) {
    const auto file = run.directory() / "validation.csv";
    const auto ids = ids_of(run.training());
    std::vector<std::string> held_out;
    for (const auto row : result.rows) held_out.push_back(ids[row]);
    write_out_of_fold(file, config.data.id, held_out, data::FoldAssignment(held_out.size(), 0), record.head,
                      config.data.targets, targets_of(run.training(), result.rows),
                      to_values(record.head, result.validation_predictions));
    notes.files.emplace_back("validation predictions", file.string());
  }
  notes.files.emplace_back("model", export_job(config, record).string());
  close_run(config, std::move(notes), result.rows.size(), run.console());
}

}  // namespace

JobPlan plan_training(const data::Dataset& dataset) {
  JobPlan plan;
  plan.id = JobId::of_training();
  for (std::uint32_t row = 0; row < dataset.num_samples(); ++row) {
    const bool held_out = dataset.has_folds() && dataset.fold(row) == 0;
    (held_out ? plan.validation_rows : plan.training_rows).push_back(row);
  }
  return plan;
}

ExitCode run_training(const RunConfig& config, RunEnvironment& environment) {
  TrainingRun run("train", config, environment);
  run.prepare_training();
  run.place({plan_training(run.training())}, /*folds_hash=*/"");
  const std::size_t held_out = run.jobs().front().validation_rows.size();
  run.facts().emplace_back("validation", held_out == 0 ? "none" : base::with_separators(held_out) + " rows of fold 0");
  run.inspect_steps();
  run.inspect_model();
  run.begin("training");
  if (const auto code = run.train()) return *code;
  run.finish([&](const std::vector<JobResult>& results) { close_training(run, results.front()); });
  return ExitCode::kDone;
}

}  // namespace meshfold::jobs
