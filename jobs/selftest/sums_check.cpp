#include "jobs/selftest/sums_check.hpp"

#include <ATen/ops/empty.h>

#include <bit>

#include "base/philox.hpp"
#include "base/text.hpp"
#include "dist/reduction_tree.hpp"
#include "dist/row_shards.hpp"
#include "jobs/selftest/checks.hpp"
#include "jobs/selftest/rank_outcomes.hpp"

namespace meshfold::jobs::selftest {
namespace {

using nlohmann::json;

// Both ways of an all_reduce: one exchange below 64 KiB, slices above. Neither divides evenly among ranks.
constexpr std::int64_t kCounts[] = {997, 20'011};

/// What `rank` of an axis adds: values of both signs whose exponents differ, so that the order of a sum shows.
at::Tensor values_of(int rank, std::int64_t count) {
  at::Tensor values = at::empty({count}, at::kFloat);
  auto* const out = values.data_ptr<float>();
  for (std::int64_t i = 0; i < count; ++i) {
    const auto draws =
        base::philox4x32_10({static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(rank), 0, 0}, {7, 7});
    const float fraction = static_cast<float>(draws[0] >> 8) / static_cast<float>(1U << 23) - 1.0F;
    out[i] = fraction * static_cast<float>(1U << (draws[1] % 12));
  }
  return values;
}

at::Tensor expected_sum(int ranks, std::int64_t count) {
  std::vector<at::Tensor> summands;
  for (int rank = 0; rank < ranks; ++rank) summands.push_back(values_of(rank, count));
  dist::reduce_in_tree_order(summands, [](at::Tensor& sum, const at::Tensor& summand) { sum.add_(summand); });
  return summands.front();
}

/// "", or how `sum` differs from what it must be.
std::string difference(const at::Tensor& sum, const at::Tensor& expected) {
  const auto *got = sum.data_ptr<float>(), *wanted = expected.data_ptr<float>();
  std::int64_t num_wrong = 0, first = 0;
  for (std::int64_t i = sum.numel() - 1; i >= 0; --i) {
    if (std::bit_cast<std::uint32_t>(got[i]) == std::bit_cast<std::uint32_t>(wanted[i])) continue;
    ++num_wrong;
    first = i;
  }
  if (num_wrong == 0) return {};
  return base::format("%lld of %lld values are wrong; value %lld is %.9g instead of %.9g",
                      static_cast<long long>(num_wrong), static_cast<long long>(sum.numel()),
                      static_cast<long long>(first), static_cast<double>(got[first]),
                      static_cast<double>(wanted[first]));
}

/// The all_reduce and, as the gradients go, reduce_scatter and all_gather_rows; the first difference.
std::string try_axis(dist::ProcessGroup& group) {
  std::string wrong;
  for (const std::int64_t count : kCounts) {
    const at::Tensor expected = expected_sum(group.size(), count);
    const at::Tensor reduced = values_of(group.rank(), count), scattered = values_of(group.rank(), count);
    group.all_reduce(reduced, dist::ReduceOp::kSum)->wait();
    const auto rows = dist::even_row_shards(count, group.size());
    group.reduce_scatter(scattered, rows)->wait();
    group.all_gather_rows(scattered, rows)->wait();
    for (const at::Tensor& sum : {reduced, scattered}) {
      if (wrong.empty()) wrong = difference(sum, expected);
    }
  }
  return wrong;
}

}  // namespace

Finding check_sums_over(const Context& context, std::span<const Axis> axes) {
  if (axes.empty()) return ok("one rank, nothing is exchanged");
  for (const Axis& axis : axes) {
    const std::string wrong = try_axis(*axis.group);
    const auto outcomes = gather_outcomes(context.world, [&] { return json(wrong); });
    for (int rank = 0; rank < context.size(); ++rank) {
      const auto words = outcomes[static_cast<std::size_t>(rank)].value.get<std::string>();
      if (words.empty()) continue;
      return fault(ExitCode::kBadNumbers,
                   "sums over the " + axis.name + " axis are wrong on " + name_of_rank(context, rank) + ": " + words,
                   "training here would go wrong without a word. Leave this machine out and test its memory and "
                   "network; if it is every machine, try another transport of MPI (mpirun --mca pml ob1 --mca btl "
                   "tcp,self) or another release");
    }
  }
  return ok("right to the last bit on every rank (" + base::joined(axes, ", ", &Axis::name) +
            (axes.size() == 1 ? " axis)" : " axes)"));
}

Finding check_sums(const Context& context) { return check_sums_over(context, axes_of(context.mesh)); }

}  // namespace meshfold::jobs::selftest
