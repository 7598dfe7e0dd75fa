// Time of one all_reduce of a large float tensor: the cost that data-parallel training pays per step.

#include <ATen/ops/full.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "dist/communicator.hpp"
#include "dist/environment.hpp"
#include "dist/mpi_process_group.hpp"

using namespace meshfold;

int main(int argc, char** argv) {
  dist::Environment mpi(argc, argv, std::chrono::seconds(60));
  const double millions = argc > 1 ? std::atof(argv[1]) : 23.0;
  const int repeats = std::max(1, argc > 2 ? std::atoi(argv[2]) : 10);
  const auto group = dist::make_mpi_process_group(mpi.world(), "world");
  const at::Tensor tensor = at::full({static_cast<std::int64_t>(millions * 1e6)}, 1.0F);

  std::vector<double> milliseconds;
  for (int i = 0; i < repeats; ++i) {
    group->barrier();
    const auto start = std::chrono::steady_clock::now();
    group->all_reduce(tensor, dist::ReduceOp::kMax)->wait();
    const std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - start;
    milliseconds.push_back(elapsed.count());
  }

  std::sort(milliseconds.begin(), milliseconds.end());
  const double median = milliseconds[milliseconds.size() / 2];
  const double megabytes = static_cast<double>(tensor.nbytes()) / 1e6;
  if (mpi.rank() == 0) {
    std::printf("all_reduce of %.1f MB on %d ranks: median %.1f ms, best %.1f ms, %.2f GB/s of tensor\n", megabytes,
                mpi.size(), median, milliseconds.front(), megabytes / median);
  }
  return 0;
}
