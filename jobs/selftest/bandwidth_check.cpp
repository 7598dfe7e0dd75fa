#include <ATen/ops/zeros.h>

#include <algorithm>

#include "base/text.hpp"
#include "jobs/selftest/axes.hpp"
#include "jobs/selftest/checks.hpp"

namespace meshfold::jobs::selftest {
namespace {

constexpr std::int64_t kSmall = 4 << 10, kMiddle = 1 << 20, kLarge = 16 << 20;  // bytes
constexpr double kSecondsPerSize = 0.1;
constexpr int kMostRepeats = 200, kTag = 12;
constexpr double kLeastMegabytes = 100;  // a second; a network of 1 Gbit/s reaches 110
constexpr double kMostSmallSeconds = 2e-3;

/// The slowest rank's seconds of one `exchange`. Collective over the world: every rank repeats as often.
double seconds_of(const Context& context, const std::function<void()>& exchange) {
  const auto slowest = [&](double seconds) {
    const at::Tensor time = at::zeros({1}, at::kDouble);
    time.data_ptr<double>()[0] = seconds;
    context.world.all_reduce(time, dist::ReduceOp::kMax)->wait();
    return time.data_ptr<double>()[0];
  };
  const auto timed = [&](int repeats) {
    context.world.barrier();
    const double start = steady_seconds();
    for (int i = 0; i < repeats; ++i) exchange();
    return slowest((steady_seconds() - start) / repeats);
  };
  timed(1);  // connections are made, pages are touched
  const double once = timed(1);
  return timed(std::clamp(static_cast<int>(kSecondsPerSize / std::max(once, 1e-7)), 1, kMostRepeats));
}

/// There and back between this rank of the axis and its neighbour, the pairs that begin at an even rank first.
void ping_pong(dist::ProcessGroup& axis, const at::Tensor& message) {
  for (int parity = 0; parity < 2; ++parity) {
    const bool asks = axis.rank() % 2 == parity;
    const int peer = axis.rank() + (asks ? 1 : -1);
    if (peer < 0 || peer >= axis.size()) continue;
    if (asks) axis.send(message, peer, kTag)->wait();
    axis.receive(message, peer, kTag)->wait();
    if (!asks) axis.send(message, peer, kTag)->wait();
  }
}

/// Times of one kind of exchange in three sizes, judged. `megabytes_sent` of a rank for each megabyte of the tensor.
struct Measured {
  std::string what;
  double small_s, middle_s, large_s, sent_per_byte;

  double speed(double seconds, std::int64_t bytes) const {
    return sent_per_byte * static_cast<double>(bytes) / 1e6 / seconds;
  }
  Finding judged() const {
    const double middle = speed(middle_s, kMiddle), large = speed(large_s, kLarge);
    const std::string found = what + ": 4 KiB in " + base::format("%.0f us", small_s * 1e6) + ", 1 MiB at " +
                              base::format("%.0f", middle) + " and 16 MiB at " + base::format("%.0f MB/s", large) +
                              " a rank";
    Finding finding = ok(found);
    if (large < kLeastMegabytes || small_s > kMostSmallSeconds) {
      finding = warning(found + ", which is slow",
                        "see that MPI takes the fast network (mpirun --mca btl_tcp_if_include, or UCX) and that every "
                        "rank has a core; let slow links carry the pipeline or the data axis, never the tensor axis");
    }
    finding.figures = {
        {what + ", 4 KiB, us", small_s * 1e6}, {what + ", 1 MiB, MB/s", middle}, {what + ", 16 MiB, MB/s", large}};
    return finding;
  }
};

template <typename Exchange>
Finding measure(const Context& context, const std::string& what, double sent_per_byte, Exchange exchange) {
  const auto time = [&](std::int64_t bytes) {
    const at::Tensor tensor = at::zeros({bytes / 4}, at::kFloat);
    return seconds_of(context, [&] { exchange(tensor); });
  };
  const double small = time(kSmall), middle = time(kMiddle), large = time(kLarge);
  return Measured{what, small, middle, large, sent_per_byte}.judged();
}

}  // namespace

Finding check_bandwidth(const Context& context) {
  const auto axes = axes_of(context.mesh);
  if (axes.empty()) return ok("one rank, nothing is exchanged");
  Finding finding = ok("");
  for (const Axis& axis : axes) {
    dist::ProcessGroup& group = *axis.group;
    const double sent = 2.0 * (group.size() - 1) / group.size();
    finding = combined(std::move(finding),
                       measure(context, "sums over the " + axis.name + " axis", sent, [&](const at::Tensor& tensor) {
                         group.all_reduce(tensor, dist::ReduceOp::kSum)->wait();
                       }));
    if (axis.name != "pipeline") continue;
    // A stage in the middle of a pipeline exchanges with both neighbours, one after the other.
    const double sent_to_neighbours = group.size() > 2 ? 4 : 2;
    finding = combined(std::move(finding), measure(context, "messages between stages and back", sent_to_neighbours,
                                                   [&](const at::Tensor& tensor) { ping_pong(group, tensor); }));
  }
  return finding;
}

}  // namespace meshfold::jobs::selftest
