#include "jobs/run/run_outcome.hpp"

#include <ATen/ops/full.h>
#include <mpi.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

namespace meshfold::jobs {
using nlohmann::json;

bool agreed_stop(dist::ProcessGroup& group, bool requested) {
  auto flag = at::full({1}, requested ? 1 : 0, at::TensorOptions(at::kInt));
  group.all_reduce(flag, dist::ReduceOp::kMax)->wait();
  return flag.const_data_ptr<std::int32_t>()[0] != 0;
}

void wait_for_all(const dist::Communicator& world, dist::Watchdog& watchdog, const std::function<void()>& meanwhile) {
  using namespace std::chrono_literals;
  const dist::Watchdog::Phase idle(watchdog, "idle: other jobs are at work", 0ms);
  MPI_Request request = MPI_REQUEST_NULL;
  dist::check_mpi(MPI_Ibarrier(world.handle(), &request), "MPI_Ibarrier");
  for (;;) {
    int arrived = 0;
    dist::check_mpi(MPI_Test(&request, &arrived, MPI_STATUS_IGNORE), "MPI_Test");
    if (arrived != 0) return;
    meanwhile();
    std::this_thread::sleep_for(50ms);
  }
}

std::vector<JobOutcome> gather_outcomes(dist::ProcessGroup& world, std::span<const RankGroup> groups,
                                        std::vector<JobOutcome> own) {
  json mine = json::array();
  for (const auto& outcome : own) mine.push_back({static_cast<int>(outcome.state), outcome.message});
  const auto all = world.all_gather_bytes(mine.dump(-1, ' ', false, json::error_handler_t::replace));
  for (const auto& group : groups) {
    const auto theirs = json::parse(all[static_cast<std::size_t>(group.ranks.front())]);
    for (const std::size_t job : group.jobs) {
      own[job] = {static_cast<JobState>(theirs[job][0].get<int>()), theirs[job][1].get<std::string>()};
    }
  }
  return own;
}

std::optional<ExitCode> conclude(std::span<const JobPlan> jobs, std::span<const JobOutcome> outcomes,
                                 Console& console) {
  std::optional<ExitCode> code;
  std::string bad;
  for (std::size_t job = 0; job < jobs.size(); ++job) {
    const JobOutcome& outcome = outcomes[job];
    if (outcome.state == JobState::kBadNumbers) bad += (bad.empty() ? "" : "; ") + outcome.message;
    if (outcome.state != JobState::kStopped) continue;
    console.say(jobs[job].id.name + ": " + outcome.message + "; start the same command again to continue");
    code = ExitCode::kStoppedOnRequest;
  }
  if (!bad.empty()) throw BadNumbersError(bad);
  return code;
}

}  // namespace meshfold::jobs
