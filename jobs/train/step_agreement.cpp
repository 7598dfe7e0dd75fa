#include "jobs/train/step_agreement.hpp"

#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "dist/agreement.hpp"

namespace meshfold::jobs {

void StepAgreement::sum(std::span<double> values) {
  const at::Tensor reduced = at::zeros({static_cast<std::int64_t>(values.size()) + 1}, at::kDouble);
  const std::span<double> slots(reduced.mutable_data_ptr<double>(), values.size() + 1);
  double& num_failed = slots.back();
  std::ranges::copy(values, slots.begin());
  num_failed = failure_ ? 1 : 0;
  all_.all_reduce(reduced, dist::ReduceOp::kSum)->wait();
  if (num_failed > 0) {
    dist::agree(all_, step_, [&] {
      if (failure_) std::rethrow_exception(failure_);
    });
  }
  std::ranges::copy(slots.first(values.size()), values.begin());
}

}  // namespace meshfold::jobs
