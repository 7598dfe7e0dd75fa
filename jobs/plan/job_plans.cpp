#include "jobs/plan/job_plans.hpp"

#include <numeric>

#include "jobs/cv/fold_assignment.hpp"

namespace meshfold::jobs {

PlannedJobs plan_jobs(CommandName command, const RunConfig& config, const data::Dataset& dataset,
                      const std::vector<std::string>& labels, int num_ranks) {
  PlannedJobs planned;
  if (command == CommandName::kCv) {
    planned.jobs = plan_folds(make_folds(config, dataset, labels));
    planned.groups = group_ranks(config, planned.jobs, dataset, num_ranks);
    return planned;
  }
  planned.jobs = {plan_training(dataset)};
  RankGroup all{std::vector<int>(static_cast<std::size_t>(num_ranks)), {0}};
  std::iota(all.ranks.begin(), all.ranks.end(), 0);
  planned.groups = {std::move(all)};
  return planned;
}

JobSteps plan_steps(const RunConfig& config, const JobPlan& job) {
  JobSteps steps;
  steps.name = job.name;
  steps.training_rows = job.training_rows.size();
  steps.validation_rows = job.validation_rows.size();
  steps.steps_an_epoch = steps_an_epoch(config.training, job.training_rows.size());
  steps.steps = num_steps_of(config.training, job.training_rows.size());
  steps.rates = rate_span(config.schedule, config.optimizer.learning_rate, {steps.steps, steps.steps_an_epoch});
  return steps;
}

}  // namespace meshfold::jobs
