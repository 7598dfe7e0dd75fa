#include "jobs/run/idle_wait.hpp"

#include <mpi.h>

#include <chrono>
#include <thread>

namespace meshfold::jobs {

void wait_for_all(const dist::Communicator& world, dist::Watchdog& watchdog, const std::function<void()>& meanwhile) {
  using namespace std::chrono_literals;
  const dist::Watchdog::Phase idle(watchdog, "idle: other jobs are at work", 0ms);
  MPI_Request request = MPI_REQUEST_NULL;
  dist::check_mpi(MPI_Ibarrier(world.handle(), &request), "MPI_Ibarrier");
  for (;;) {
    int arrived = 0;
    dist::check_mpi(MPI_Test(&request, &arrived, MPI_STATUS_IGNORE), "MPI_Test");
    if (arrived != 0) return;
    meanwhile();
    std::this_thread::sleep_for(50ms);
  }
}

}  // namespace meshfold::jobs
