#pragma once

#include <functional>

#include "dist/communicator.hpp"
#include "dist/watchdog.hpp"

namespace meshfold::jobs {

/// Waits until every rank of `world` has come here, asleep most of the time and without a deadline: other groups may
/// train for hours, and mpirun ends the job when one of their processes dies. `meanwhile` is called about twenty times
/// a second. Collective.
void wait_for_all(const dist::Communicator& world, dist::Watchdog& watchdog, const std::function<void()>& meanwhile);

}  // namespace meshfold::jobs
