#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "jobs/selftest/context.hpp"
#include "jobs/selftest/finding.hpp"

namespace meshfold::jobs::selftest {

/// What one rank's own part of a check came to: a value, or words for why it failed.
struct RankOutcome {
  nlohmann::json value;
  std::string failure;
  ExitCode code = ExitCode::kDone;
};

/// Runs each rank's part, which may throw, and tells every rank what became of all of them: result[r] is rank r's.
std::vector<RankOutcome> gather_outcomes(dist::ProcessGroup& world, const std::function<nlohmann::json()>& part);

/// The same for a part that may hang in the kernel: it fails once `patience` is over. It must own all that it touches
/// and make no MPI calls (dist/call_within.hpp).
std::vector<RankOutcome> gather_bounded(dist::ProcessGroup& world, std::chrono::milliseconds patience,
                                        std::function<nlohmann::json()> part);

/// A fault that names the ranks that failed and the first one's reason, with its exit code; nullopt if none did.
std::optional<Finding> fault_of(const Context& context, const std::vector<RankOutcome>& outcomes,
                                const std::string& attempt, const std::string& advice);

}  // namespace meshfold::jobs::selftest
