#include "jobs/train/exchange_layout.hpp"

#include <algorithm>

#include "dist/sent_bytes.hpp"

namespace meshfold::jobs {

AxisBytes& AxisBytes::operator+=(const AxisBytes& other) {
  data += other.data;
  pipeline += other.pipeline;
  tensor += other.tensor;
  return *this;
}

ExchangeLayout::ExchangeLayout(const models::ParameterStore& store, const dist::MeshShape& mesh,
                               const dist::MeshCoordinates& place, StateSharding sharding, std::int64_t bucket_bytes)
    : mesh_(mesh),
      place_(place),
      sharded_(sharding == StateSharding::kOverData && mesh.data > 1),
      blocks_(models::parameter_blocks(store)),
      buckets_(gradient_buckets(store, sharded_ ? mesh.data : 1, bucket_bytes)),
      owned_(owned_elements(buckets_, static_cast<int>(share()))) {
  if (mesh.tensor > 1) note_partial(store);
}

void ExchangeLayout::note_partial(const models::ParameterStore& store) {
  for (const ElementRange& own : owned_) {
    for (const models::Parameter& parameter : store) {
      const ElementRange range{std::max(parameter.view.offset, own.begin),
                               std::min(parameter.view.offset + parameter.num_elements, own.end)};
      if (parameter.spec.gradient_is_partial() && range.size() > 0) partial_.push_back(range);
    }
  }
}

AxisBytes ExchangeLayout::bytes_sent(std::int64_t blocks_of_model) const {
  constexpr std::int64_t kFloat = sizeof(float), kDouble = sizeof(double);
  const std::int64_t norm = mesh_.tensor * blocks_of_model * kDouble;
  AxisBytes sent;
  for (const GradientBucket& bucket : buckets_) {
    const std::int64_t bytes = kFloat * bucket.range.size();
    if (sharded_) {
      const std::int64_t own = kFloat * bucket.shares[share()].size();
      sent.data += dist::sent_by_reduce_scatter(bytes, own) + dist::sent_by_all_gather(own, mesh_.data);
    } else {
      sent.data += dist::sent_by_all_reduce(bytes, mesh_.data);
    }
  }
  if (sharded_) sent.data += dist::sent_by_all_reduce(norm, mesh_.data);
  sent.pipeline = dist::sent_by_all_reduce(norm, mesh_.pipeline);
  sent.tensor = dist::sent_by_all_reduce(norm, mesh_.tensor) +
                dist::sent_by_all_reduce(kFloat * num_elements(partial_), mesh_.tensor);
  return sent;
}

}  // namespace meshfold::jobs
