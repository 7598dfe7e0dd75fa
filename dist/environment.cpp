#include "dist/environment.hpp"

#include <mpi.h>
#include <unistd.h>

#include <exception>

#include "dist/communicator.hpp"
#include "dist/error.hpp"

namespace meshfold::dist {

Environment::Environment(int& argc, char**& argv, std::chrono::milliseconds deadline)
    : exceptions_at_start_(std::uncaught_exceptions()), deadline_(deadline) {
  int provided = MPI_THREAD_SINGLE;
  check_mpi(MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
  if (provided < MPI_THREAD_FUNNELED) {
    throw MpiError("this MPI library offers no MPI_THREAD_FUNNELED; use one that was built with thread support");
  }
  // Errors that belong to no communicator are raised on these two.
  check_mpi(MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  world_ = std::make_shared<Communicator>(MPI_COMM_WORLD, Communicator::Ownership::kBorrowed, "world", deadline);
  rank_ = world_->rank();
  size_ = world_->size();

  MPI_Comm machine = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &machine),
            "MPI_Comm_split_type");
  const Communicator local(machine, Communicator::Ownership::kOwned, "ranks of this machine", deadline);
  local_rank_ = local.rank();
  local_size_ = local.size();

  char host[MPI_MAX_PROCESSOR_NAME] = "";
  int length = 0;
  check_mpi(MPI_Get_processor_name(host, &length), "MPI_Get_processor_name");
  host_name_.assign(host, static_cast<std::size_t>(length));
}

Environment::~Environment() {
  // Finalize waits for every rank; one that leaves by an exception must not, for its peers may be waiting for it.
  if (std::uncaught_exceptions() > exceptions_at_start_) return;
  world_.reset();
  MPI_Finalize();
}

void Environment::set_deadline(std::chrono::milliseconds deadline) {
  deadline_ = deadline;
  world_->set_deadline(deadline);
}

void Environment::abort(int exit_code) {
  int initialized = 0, finalized = 0;
  MPI_Initialized(&initialized);
  MPI_Finalized(&finalized);
  if (initialized != 0 && finalized == 0) MPI_Abort(MPI_COMM_WORLD, exit_code);
  _exit(exit_code);
}

}  // namespace meshfold::dist
