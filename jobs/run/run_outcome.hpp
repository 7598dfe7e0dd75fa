#pragma once

#include <optional>
#include <span>
#include <vector>

#include "dist/process_group.hpp"
#include "jobs/console.hpp"
#include "jobs/error.hpp"
#include "jobs/run/job.hpp"
#include "jobs/run/rank_groups.hpp"
#include "models/directory/load_model.hpp"

namespace meshfold::jobs {

/// The outcome of every fold, on every rank: each is taken from the first rank of the group that ran it. Collective
/// over `world`.
std::vector<JobOutcome> gather_outcomes(dist::ProcessGroup& world, std::span<const RankGroup> groups,
                                        std::vector<JobOutcome> own);

/// Says what did not finish. nullopt if all did, 75 when a stop was requested. Throws BadNumbersError, with every such
/// fold, when numbers went bad: the same on every rank.
std::optional<ExitCode> conclude(std::span<const JobOutcome> outcomes, Console& console);

/// Whether any rank of the group was asked to stop. Collective.
bool agreed_stop(dist::ProcessGroup& group, bool requested);

/// The full lists of tensors that were left out and initialised, one line each, into the log file.
void log_loading(const models::LoadReport& report, Console& console);

}  // namespace meshfold::jobs
