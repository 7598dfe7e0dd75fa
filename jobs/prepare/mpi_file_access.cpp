#include "jobs/prepare/mpi_file_access.hpp"

namespace meshfold::jobs {

data::Hdf5Properties make_mpi_file_access(const dist::Communicator& communicator) {
  data::silence_hdf5();
  data::Hdf5Properties access(H5Pcreate(H5P_FILE_ACCESS), "H5Pcreate", "the file-access list");
  if (communicator.size() > 1) {
    data::check_hdf5(H5Pset_fapl_mpio(access.get(), communicator.handle(), MPI_INFO_NULL), "H5Pset_fapl_mpio",
                     communicator.name());
  }
  return access;
}

}  // namespace meshfold::jobs
