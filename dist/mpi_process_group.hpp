#pragma once

#include <memory>

#include "dist/process_group.hpp"

namespace meshfold::dist {

class Communicator;

/// Host tensors over MPI. Waits are Test loops that yield, then sleep up to 100 us, so oversubscribed ranks do not
/// starve each other, and end in PeerLost after the communicator's deadline.
///
/// all_reduce of a large tensor: each rank receives its slice from every other rank (all-to-all), adds the slices in
/// the tree order of reduction_tree.hpp, and the slices are gathered; a rank sends 2 (n-1)/n of the tensor, as a ring does.
std::unique_ptr<ProcessGroup> make_mpi_process_group(std::shared_ptr<Communicator> communicator, std::string name);

}  // namespace meshfold::dist
