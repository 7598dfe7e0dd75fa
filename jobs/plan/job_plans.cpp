#include "jobs/plan/job_plans.hpp"

#include "jobs/cv/fold_assignment.hpp"
#include "jobs/run/train_command.hpp"

namespace meshfold::jobs {

PlannedJobs plan_jobs(CommandName command, const RunConfig& config, const data::Dataset& dataset,
                      const std::vector<std::string>& labels, int num_ranks) {
  PlannedJobs planned;
  planned.jobs = command == CommandName::kCv ? plan_folds(make_folds(config, dataset, labels))
                                             : std::vector{plan_training(dataset)};
  planned.groups = group_ranks(config, planned.jobs, dataset, num_ranks);
  return planned;
}

JobSteps plan_steps(const RunConfig& config, const JobPlan& job) {
  JobSteps steps;
  steps.name = job.id.name;
  steps.training_rows = job.training_rows.size();
  steps.validation_rows = job.validation_rows.size();
  steps.steps_an_epoch = steps_an_epoch(config.training, job.training_rows.size());
  steps.steps = num_steps_of(config.training, job.training_rows.size());
  steps.rates = rate_span(config.schedule, config.optimizer.learning_rate, {steps.steps, steps.steps_an_epoch});
  return steps;
}

}  // namespace meshfold::jobs
