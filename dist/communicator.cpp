#include "dist/communicator.hpp"

#include <algorithm>
#include <exception>
#include <stdexcept>
#include <utility>

#include "dist/error.hpp"

namespace meshfold::dist {
namespace {

/// Frees a temporary MPI group on every path.
class GroupHandle {
 public:
  GroupHandle() = default;
  ~GroupHandle() {
    if (handle != MPI_GROUP_NULL) MPI_Group_free(&handle);
  }
  GroupHandle(const GroupHandle&) = delete;
  GroupHandle& operator=(const GroupHandle&) = delete;

  MPI_Group handle = MPI_GROUP_NULL;
};

bool mpi_is_usable() {
  int initialized = 0, finalized = 0;
  MPI_Initialized(&initialized);
  MPI_Finalized(&finalized);
  return initialized != 0 && finalized == 0;
}

}  // namespace

void check_mpi(int result, const char* call, std::source_location where) {
  if (result == MPI_SUCCESS) return;
  char words[MPI_MAX_ERROR_STRING] = "unknown error";
  int length = 0;
  if (MPI_Error_string(result, words, &length) != MPI_SUCCESS) length = 13;
  std::string message = std::string(call) + " failed";
  int rank = 0;
  if (mpi_is_usable() && MPI_Comm_rank(MPI_COMM_WORLD, &rank) == MPI_SUCCESS) {
    message += " on rank " + std::to_string(rank);
  }
  const std::string_view path = where.file_name();
  message += ": " + std::string(words, static_cast<std::size_t>(length)) + " (" +
             std::string(path.substr(path.rfind('/') + 1)) + ":" + std::to_string(where.line()) + ")";
  throw MpiError(message);
}

Communicator::Communicator(MPI_Comm handle, Ownership ownership, std::string name, std::chrono::milliseconds deadline)
    : handle_(handle), ownership_(ownership), name_(std::move(name)), deadline_(deadline) {
  check_mpi(MPI_Comm_set_errhandler(handle_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  check_mpi(MPI_Comm_rank(handle_, &rank_), "MPI_Comm_rank");
  check_mpi(MPI_Comm_size(handle_, &size_), "MPI_Comm_size");
}

Communicator::~Communicator() {
  if (ownership_ == Ownership::kBorrowed || !mpi_is_usable()) return;
  // The other members may never come to free it when this one leaves by an exception.
  if (std::uncaught_exceptions() > 0) return;
  MPI_Comm_free(&handle_);
}

std::shared_ptr<Communicator> Communicator::create_group(std::span<const int> ranks, int tag, std::string name) const {
  if (std::find(ranks.begin(), ranks.end(), rank_) == ranks.end()) {
    throw std::invalid_argument("rank " + std::to_string(rank_) + " of " + name_ + " is not a member of the group '" +
                                name + "' that it was asked to make");
  }
  GroupHandle parent, members;
  check_mpi(MPI_Comm_group(handle_, &parent.handle), "MPI_Comm_group");
  check_mpi(MPI_Group_incl(parent.handle, static_cast<int>(ranks.size()), ranks.data(), &members.handle),
            "MPI_Group_incl");
  MPI_Comm child = MPI_COMM_NULL;
  check_mpi(MPI_Comm_create_group(handle_, members.handle, tag, &child), "MPI_Comm_create_group");
  return std::make_shared<Communicator>(child, Ownership::kOwned, std::move(name), deadline_);
}

}  // namespace meshfold::dist
