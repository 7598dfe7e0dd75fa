#pragma once

#include <exception>
#include <memory>

#include "dist/environment.hpp"
#include "dist/process_group.hpp"
#include "jobs/console.hpp"

namespace meshfold::launcher {

/// How a failed run ends. Has a communicator of its own, so that ranks can meet here while others are inside any other
/// collective.
class Farewell {
 public:
  /// Collective over the world.
  explicit Farewell(dist::Environment& mpi);

  /// Called by each rank with what it caught. If every rank comes here within a few seconds, the failure was agreed or
  /// common: one line is printed (by the lowest rank that failed itself), and its exit code is returned on every rank.
  /// Otherwise the others are stuck waiting for this rank: it prints its line and ends them all; then this does not
  /// return. The line also goes to this rank's log.
  int conclude(const std::exception& error, jobs::Console& console);

 private:
  dist::Environment& mpi_;
  std::unique_ptr<dist::ProcessGroup> everyone_;
};

}  // namespace meshfold::launcher
