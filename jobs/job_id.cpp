#include "jobs/job_id.hpp"

#include <charconv>
#include <string_view>
#include <system_error>
#include <utility>

namespace meshfold::jobs {
namespace {

constexpr std::string_view kFoldPrefix = "fold-";

}  // namespace

JobId JobId::of_fold(int fold) { return {std::string(kFoldPrefix) + std::to_string(fold), fold}; }

JobId JobId::of_training() { return {"train", std::nullopt}; }

JobId JobId::named(std::string name) {
  JobId job{std::move(name), std::nullopt};
  if (!job.name.starts_with(kFoldPrefix)) return job;
  int fold = 0;
  const char* const end = job.name.data() + job.name.size();
  const auto [stop, error] = std::from_chars(job.name.data() + kFoldPrefix.size(), end, fold);
  if (error == std::errc() && stop == end && fold >= 0) job.fold = fold;
  return job;
}

std::uint32_t job_seed(std::uint32_t run_seed, const JobId& job) {
  return job.fold ? run_seed ^ (0x9E3779B9U * (static_cast<std::uint32_t>(*job.fold) + 1U)) : run_seed;
}

}  // namespace meshfold::jobs
