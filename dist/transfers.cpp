#include "dist/transfers.hpp"

#include <algorithm>

#include "dist/communicator.hpp"

namespace meshfold::dist {
namespace {

// Far below MPI's 2^31 limit on counts; each finished message also tells a wait that the peer is alive.
constexpr std::size_t kMaxMessageBytes = std::size_t{64} << 20;

/// Calls post(offset, count) for each message of `size` bytes.
template <typename Post>
void for_each_message(std::size_t size, Post post) {
  for (std::size_t offset = 0; offset < size; offset += kMaxMessageBytes) {
    post(offset, static_cast<int>(std::min(kMaxMessageBytes, size - offset)));
  }
}

}  // namespace

Transfers::Transfers(const Communicator& communicator) : handle_(communicator.handle()) {}

void Transfers::send(const void* bytes, std::size_t size, int peer, int tag) {
  for_each_message(size, [&](std::size_t offset, int count) {
    const auto* start = static_cast<const std::byte*>(bytes) + offset;
    check_mpi(MPI_Isend(start, count, MPI_BYTE, peer, tag, handle_, &requests_.emplace_back()), "MPI_Isend");
  });
}

void Transfers::receive(void* bytes, std::size_t size, int peer, int tag) {
  for_each_message(size, [&](std::size_t offset, int count) {
    auto* start = static_cast<std::byte*>(bytes) + offset;
    check_mpi(MPI_Irecv(start, count, MPI_BYTE, peer, tag, handle_, &requests_.emplace_back()), "MPI_Irecv");
  });
}

void Transfers::broadcast(void* bytes, std::size_t size, int root) {
  for_each_message(size, [&](std::size_t offset, int count) {
    auto* start = static_cast<std::byte*>(bytes) + offset;
    check_mpi(MPI_Ibcast(start, count, MPI_BYTE, root, handle_, &requests_.emplace_back()), "MPI_Ibcast");
  });
}

void Transfers::barrier() { check_mpi(MPI_Ibarrier(handle_, &requests_.emplace_back()), "MPI_Ibarrier"); }

bool Transfers::test() {
  if (num_done_ == requests_.size()) return true;
  done_indices_.resize(requests_.size());
  int num_new = 0;
  check_mpi(MPI_Testsome(static_cast<int>(requests_.size()), requests_.data(), &num_new, done_indices_.data(),
                         MPI_STATUSES_IGNORE),
            "MPI_Testsome");
  if (num_new != MPI_UNDEFINED) num_done_ += static_cast<std::size_t>(num_new);
  return num_done_ == requests_.size();
}

}  // namespace meshfold::dist
