#pragma once

#include <filesystem>
#include <functional>
#include <vector>

#include "jobs/config/run_config.hpp"
#include "jobs/run_environment.hpp"
#include "jobs/selftest/checks.hpp"
#include "jobs/selftest/report.hpp"

namespace meshfold::jobs {

enum class SelftestFormat { kText, kJson };

struct SelftestRequest {
  std::filesystem::path directory;  ///< --dir; empty: --run, or what exists above it, else the current directory
  SelftestFormat format = SelftestFormat::kText;
};

/// Tries what a run needs of machines, network and storage, and says on rank 0 what is wrong and what to do. Collective
/// over the world. Every wait has a deadline of at most 90 s, also if run.deadline_s is longer; what hangs in a
/// library ends this process with a line that names the check.
ExitCode run_selftest(const RunConfig& config, const SelftestRequest& request, RunEnvironment& environment);

namespace selftest {

/// Runs the checks in order; `report` is given each row as it is known. What a check throws (a rank did not answer) is
/// reported as its fault and thrown on. Checks that write are left out if check_directory has found a fault.
void run_checks(const Context& context, const std::vector<Check>& checks, dist::Watchdog& watchdog,
                const std::function<void(const Row&)>& report);

}  // namespace selftest
}  // namespace meshfold::jobs
