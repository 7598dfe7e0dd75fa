#pragma once

#include <functional>

#include "dist/environment.hpp"
#include "dist/group_maker.hpp"
#include "dist/watchdog.hpp"
#include "jobs/console.hpp"

namespace meshfold::jobs {

/// What a command is given besides its config; all of it outlives the command.
struct RunEnvironment {
  dist::Environment& mpi;
  dist::Watchdog& watchdog;
  Console& console;
  std::function<bool()> stop_requested;                  ///< a signal asked this rank to stop at the next step boundary
  const dist::GroupMaker& groups = dist::host_groups();  ///< of the run's meshes; says where it computes
};

}  // namespace meshfold::jobs
