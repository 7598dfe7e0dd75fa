#pragma once

#include <c10/core/Device.h>

#include <memory>
#include <string>

#include "dist/process_group.hpp"

namespace meshfold::dist {

class Communicator;

/// What a group is for: numbers and texts in host memory; sums and gathers of tensors; these, and messages between
/// neighbours.
enum class Traffic { kControl, kCollectives, kNeighbours };

/// The one decision where this process computes, and how tensors that lie there travel. Made before any mesh and
/// outlives all of them.
class GroupMaker {
 public:
  virtual ~GroupMaker() = default;
  /// Where the tensors lie that the groups exchange beside those in host memory.
  virtual c10::Device device() const = 0;
  /// For people: "CPU", "4 GPUs (NVIDIA H100), one a rank".
  virtual std::string description() const = 0;
  /// Collective over `communicator`.
  virtual std::unique_ptr<ProcessGroup> make(std::shared_ptr<Communicator> communicator, const std::string& name,
                                             Traffic traffic) const = 0;
};

/// Tensors in host memory, over MPI.
const GroupMaker& host_groups();

}  // namespace meshfold::dist
