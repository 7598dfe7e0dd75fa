#include "jobs/cv/closing.hpp"

#include <filesystem>
#include <string>
#include <utility>

#include "jobs/cv/out_of_fold.hpp"
#include "jobs/results/export_job.hpp"
#include "jobs/results/finished_jobs.hpp"
#include "jobs/results/prediction_table.hpp"
#include "jobs/run/closing.hpp"
#include "jobs/train/pack_input.hpp"

namespace meshfold::jobs {

void close_cross_validation(const TrainingRun& run, const Folds& folds, const SubmissionFormat& submission,
                            const std::vector<JobResult>& results) {
  const auto& config = run.config();
  const auto& head = run.head();
  const auto ids = ids_of(run.training());
  const auto targets = targets_of(run.training(), all_rows(run.training()));
  const auto clip = [&](const at::Tensor& values) {
    return clip_values(head, values, config.cv.clip_min, config.cv.clip_max);
  };

  const auto outputs = clip(collect_out_of_fold(results, folds.assignment, ids));
  const std::string metric = config.cv.metric.name_for(head.task);
  auto notes = run.notes();
  notes.pooled = compute_scores(head, outputs, targets, metric);
  notes.trivial =
      compute_scores(head, predict_trivially(head, targets, folds.assignment, folds.num_folds), targets, metric);

  const auto oof = run.directory() / "oof.csv";
  write_out_of_fold(oof, config.data.id, ids, folds.assignment, head, config.data.targets, targets,
                    to_values(head, outputs));
  notes.files = {{"folds", (run.directory() / "folds.csv").string()}, {"out-of-fold predictions", oof.string()}};
  if (run.test() != nullptr) {
    const auto file = run.directory() / "submission.csv";
    write_submission(file, submission, ids_of(*run.test()), clip(mean_test_predictions(head, results)));
    notes.files.emplace_back("submission", file.string());
  }
  std::vector<JobRecord> records;
  for (const auto& result : results) records.push_back(result.record);
  const auto& best = best_job(records);
  notes.files.emplace_back("model of " + best.id.name, export_job(config, best).string());
  close_run(config, std::move(notes), ids.size(), run.console());
}

}  // namespace meshfold::jobs
