#pragma once

#include "data/hdf5_handle.hpp"
#include "dist/communicator.hpp"

namespace meshfold::jobs {

/// An HDF5 file-access list for files that all ranks of `communicator` write together: MPI-IO, or the default driver
/// for one rank.
data::Hdf5Properties make_mpi_file_access(const dist::Communicator& communicator);

}  // namespace meshfold::jobs
