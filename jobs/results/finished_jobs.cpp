#include "jobs/results/finished_jobs.hpp"

#include <algorithm>
#include <cmath>

#include "dist/agreement.hpp"
#include "jobs/error.hpp"

namespace meshfold::jobs {
namespace fs = std::filesystem;

std::vector<JobRecord> find_finished_jobs(const fs::path& run) {
  std::vector<JobRecord> jobs;
  if (!fs::is_directory(run)) return jobs;
  for (const auto& entry : fs::directory_iterator(run)) {
    if (!entry.is_directory() || !JobId::named(entry.path().filename().string()).fold) continue;
    if (auto record = read_record(entry.path())) jobs.push_back(std::move(*record));
  }
  std::ranges::sort(jobs, {}, [](const JobRecord& job) { return job.id.fold; });
  for (int fold = 0; !jobs.empty() && fold < jobs.front().num_folds; ++fold) {
    if (static_cast<std::size_t>(fold) < jobs.size() && jobs[static_cast<std::size_t>(fold)].id.fold == fold) continue;
    throw CheckpointError(run.string() + ": fold " + std::to_string(fold) + " of " +
                          std::to_string(jobs.front().num_folds) +
                          " has not finished; start `meshfold cv` on this run directory again");
  }
  if (jobs.empty()) {
    if (auto record = read_record(run / JobId::of_training().name)) jobs.push_back(std::move(*record));
  }
  return jobs;
}

const JobRecord& best_job(const std::vector<JobRecord>& jobs) {
  const auto better = [](const JobRecord& a, const JobRecord& b) {
    if (a.scores.empty() || b.scores.empty()) return false;
    const double x = a.scores.front().second, y = b.scores.front().second;
    if (std::isnan(x) || std::isnan(y)) return !std::isnan(x);
    return a.better == Better::kLarger ? x > y : x < y;
  };
  return *std::min_element(jobs.begin(), jobs.end(), better);
}

std::vector<JobRecord> agreed_finished_jobs(dist::ProcessGroup& group, const fs::path& run) {
  std::vector<JobRecord> jobs;
  dist::agree(group, "look for finished jobs in " + run.string(), [&] { jobs = find_finished_jobs(run); });
  // On a slow network file system a rank may not see them yet; then the ranks would part ways.
  for (const auto& count : group.all_gather_bytes(std::to_string(jobs.size()))) {
    if (count == std::to_string(jobs.size())) continue;
    throw CheckpointError(run.string() +
                          ": the ranks see different numbers of finished jobs; check that it is a shared directory");
  }
  return jobs;
}

JobRecord choose_job(const fs::path& run, const std::string& name) {
  if (!name.empty()) {
    if (auto record = read_record(run / name)) return *record;
    throw CheckpointError((run / name).string() + ": no finished job (done.json is not there); check export.job");
  }
  const auto jobs = find_finished_jobs(run);
  if (jobs.empty())
    throw CheckpointError(run.string() + ": no finished job; start `meshfold cv` or `meshfold train` on it first");
  return best_job(jobs);
}

}  // namespace meshfold::jobs
