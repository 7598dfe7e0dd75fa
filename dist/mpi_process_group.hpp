#pragma once

#include <memory>

#include "dist/process_group.hpp"

namespace meshfold::dist {

class Communicator;

/// Tags of send and receive lie in [0, kMaxUserTag]; the rest of the tag space is the collectives'.
inline constexpr int kMaxUserTag = (1 << 22) - 1;

/// Host tensors over MPI. Waits are Test loops that yield, then sleep up to 100 us, so oversubscribed ranks do not
/// starve each other, and end in PeerLost after the communicator's deadline. Messages are cut into chunks, so no count
/// passes MPI's 31 bits, and each finished chunk restarts the deadline's clock.
///
/// Works of one group may overlap; each must be waited on, and MPI makes progress only inside wait() and other calls.
///
/// all_reduce of a large tensor: each rank receives its slice from every other rank (all-to-all), adds the slices in
/// the tree order of reduction_tree.hpp, and the slices are gathered; a rank sends 2 (n-1)/n of the tensor, as a ring
/// does.
std::unique_ptr<ProcessGroup> make_mpi_process_group(std::shared_ptr<Communicator> communicator, std::string name);

}  // namespace meshfold::dist
