#pragma once

#include <string>
#include <vector>

#include "data/dataset.hpp"
#include "jobs/config/commands.hpp"
#include "jobs/config/run_config.hpp"
#include "jobs/plan/run_plan.hpp"
#include "jobs/run/job.hpp"
#include "jobs/run/rank_groups.hpp"

namespace meshfold::jobs {

/// The trainings of a run and the ranks that do them.
struct PlannedJobs {
  std::vector<JobPlan> jobs;
  std::vector<RankGroup> groups;
};

/// As `command` (kCv or kTrain) cuts and places them. `labels`: of the head. Throws ConfigError.
PlannedJobs plan_jobs(CommandName command, const RunConfig& config, const data::Dataset& dataset,
                      const std::vector<std::string>& labels, int num_ranks);

/// Number of steps and learning rates of a job.
JobSteps plan_steps(const RunConfig& config, const JobPlan& job);

}  // namespace meshfold::jobs
