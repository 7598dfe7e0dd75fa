#include "jobs/cv/cross_validation.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "dist/agreement.hpp"
#include "jobs/cv/closing.hpp"
#include "jobs/cv/fold_assignment.hpp"
#include "jobs/results/submission.hpp"
#include "jobs/run/training_run.hpp"

namespace meshfold::jobs {
namespace {

/// The columns of submission.csv, on rank 0 only; the others learn by agreement that the sample can be read. Collective
/// over the world.
SubmissionFormat submission_format(const TrainingRun& run) {
  const auto& data = run.config().data;
  SubmissionFormat format;
  dist::agree(run.world(), "read the sample submission", [&] {
    if (!run.is_reporter()) return;
    format = data.sample_submission.empty()
                 ? default_submission_format(data.id, run.head().labels)
                 : read_submission_format(data.sample_submission, data.id, run.head().labels, ids_of(*run.test()));
  });
  return format;
}

void warn_of(const Folds& folds, models::Task task, Console& console) {
  if (!folds.scarce.empty() && task != models::Task::kRegression) {
    console.warn(
        "label '" + folds.scarce.front() + "'" +
        (folds.scarce.size() > 1 ? " and " + std::to_string(folds.scarce.size() - 1) + " more" : std::string()) +
        ": fewer samples than folds, so some folds are scored without it");
  }
  if (folds.report.groups_in_several_folds > 0) {
    console.warn(std::to_string(folds.report.groups_in_several_folds) +
                 " groups have samples in several folds: out-of-fold scores may be too good");
  }
}

/// Makes the folds and keeps them in folds.csv. Collective over the world.
Folds split(TrainingRun& run) {
  Folds folds;
  dist::agree(run.world(), "make the folds", [&] {
    folds = make_folds(run.config(), run.training(), run.head().labels);
    if (run.is_reporter()) keep_folds_csv(run.directory() / "folds.csv", run.training(), folds);
  });
  run.facts().emplace_back("folds", describe(folds, run.config()));
  warn_of(folds, run.config().model.task, run.console());
  return folds;
}

/// "data 2 x pipeline 1 x tensor 1: fold 0 2; ..."
std::string describe_groups(const TrainingRun& run) {
  std::string text;
  for (std::size_t group = 0; group < run.groups().size(); ++group) {
    text += (text.empty() ? "" : "; ") + run.shapes()[group].to_string() + ": fold";
    for (const std::size_t job : run.groups()[group].jobs) text += " " + std::to_string(*run.jobs()[job].id.fold);
  }
  return text;
}

}  // namespace

ExitCode run_cross_validation(const RunConfig& config, RunEnvironment& environment) {
  TrainingRun run("cv", config, environment);
  run.prepare_training();
  run.prepare_test();
  const SubmissionFormat submission = submission_format(run);
  const Folds folds = split(run);
  run.place(plan_folds(folds), folds.hash());
  run.facts().emplace_back("rank groups", describe_groups(run));
  run.inspect_model();
  run.inspect_steps();
  run.begin("cross-validation");
  if (const auto code = run.train()) return *code;
  run.finish([&](const std::vector<JobResult>& results) { close_cross_validation(run, folds, submission, results); });
  return ExitCode::kDone;
}

}  // namespace meshfold::jobs
