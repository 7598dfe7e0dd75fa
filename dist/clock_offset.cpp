#include "dist/clock_offset.hpp"

#include <ATen/ops/zeros.h>

#include <limits>

namespace meshfold::dist {
namespace {

constexpr int kExchanges = 16;
constexpr int kTag = 11;

}  // namespace

std::vector<ClockOffset> clock_offsets(ProcessGroup& group, std::span<const int> ranks,
                                       const std::function<double()>& clock) {
  std::vector<ClockOffset> offsets;
  at::Tensor times = at::zeros({2}, at::kDouble);  // t2, t3: when the question came and when the answer left
  auto* const values = times.data_ptr<double>();
  for (const int rank : ranks) {
    ClockOffset best{rank, 0, std::numeric_limits<double>::infinity()};
    for (int exchange = 0; exchange < kExchanges; ++exchange) {
      if (group.rank() == rank) {
        group.receive(times, 0, kTag)->wait();
        values[0] = clock();
        values[1] = clock();
        group.send(times, 0, kTag)->wait();
      } else if (group.rank() == 0) {
        const double asked = clock();
        group.send(times, rank, kTag)->wait();
        group.receive(times, rank, kTag)->wait();
        const double answered = clock();
        const double uncertainty = (answered - asked - (values[1] - values[0])) / 2;
        if (uncertainty < best.uncertainty_s) {
          best.seconds = (values[0] - asked + values[1] - answered) / 2;
          best.uncertainty_s = uncertainty;
        }
      }
    }
    if (group.rank() == 0) offsets.push_back(best);
  }
  return offsets;
}

}  // namespace meshfold::dist
