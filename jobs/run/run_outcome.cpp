#include "jobs/run/run_outcome.hpp"

#include "models/directory/load_model.hpp"

#include <ATen/ops/full.h>

#include <nlohmann/json.hpp>

namespace meshfold::jobs {
using nlohmann::json;

std::vector<JobOutcome> gather_outcomes(dist::ProcessGroup& world, std::span<const RankGroup> groups,
                                        std::vector<JobOutcome> own) {
  json mine = json::array();
  for (const auto& outcome : own) mine.push_back({static_cast<int>(outcome.state), outcome.message});
  const auto all = world.all_gather_bytes(mine.dump(-1, ' ', false, json::error_handler_t::replace));
  for (const auto& group : groups) {
    const auto theirs = json::parse(all[static_cast<std::size_t>(group.ranks.front())]);
    for (const int fold : group.folds) {
      const auto k = static_cast<std::size_t>(fold);
      own[k] = {static_cast<JobState>(theirs[k][0].get<int>()), theirs[k][1].get<std::string>()};
    }
  }
  return own;
}

std::optional<ExitCode> conclude(std::span<const JobOutcome> outcomes, Console& console) {
  std::optional<ExitCode> code;
  std::string bad;
  for (const auto& outcome : outcomes) {
    if (outcome.state == JobState::kBadNumbers) bad += (bad.empty() ? "" : "; ") + outcome.message;
    if (outcome.state != JobState::kStopped) continue;
    const auto fold = static_cast<std::size_t>(&outcome - outcomes.data());
    console.say("fold-" + std::to_string(fold) + ": " + outcome.message + "; start the same command again to continue");
    code = ExitCode::kStoppedOnRequest;
  }
  if (!bad.empty()) throw BadNumbersError(bad);
  return code;
}

bool agreed_stop(dist::ProcessGroup& group, bool requested) {
  auto flag = at::full({1}, requested ? 1 : 0, at::TensorOptions(at::kInt));
  group.all_reduce(flag, dist::ReduceOp::kMax)->wait();
  return flag.const_data_ptr<std::int32_t>()[0] != 0;
}

void log_loading(const models::LoadReport& report, Console& console) {
  for (const auto& name : report.left_out) console.log("left out: " + name);
  for (const auto& name : report.initialized) console.log("initialised: " + name);
}

}  // namespace meshfold::jobs
