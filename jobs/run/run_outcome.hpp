#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "dist/communicator.hpp"
#include "dist/process_group.hpp"
#include "dist/watchdog.hpp"
#include "jobs/console.hpp"
#include "jobs/error.hpp"
#include "jobs/run/job.hpp"
#include "jobs/run/rank_groups.hpp"

namespace meshfold::jobs {

/// Whether any rank of the group was asked to stop. Collective.
bool agreed_stop(dist::ProcessGroup& group, bool requested);

/// Waits until every rank of `world` has come here, asleep most of the time and without a deadline: other groups may
/// train for hours, and mpirun ends the job when one of their processes dies. `meanwhile` is called about twenty times
/// per second. Collective.
void wait_for_all(const dist::Communicator& world, dist::Watchdog& watchdog, const std::function<void()>& meanwhile);

/// The outcome of every job, on every rank: each is taken from the first rank of the group that ran it. Collective over
/// `world`.
std::vector<JobOutcome> gather_outcomes(dist::ProcessGroup& world, std::span<const RankGroup> groups,
                                        std::vector<JobOutcome> own);

/// Says what did not finish; `outcomes[k]` is that of `jobs[k]`. nullopt if all did, 75 when a stop was requested.
/// Throws BadNumbersError, with every such job, when numbers went bad: the same on every rank.
std::optional<ExitCode> conclude(std::span<const JobPlan> jobs, std::span<const JobOutcome> outcomes, Console& console);

}  // namespace meshfold::jobs
