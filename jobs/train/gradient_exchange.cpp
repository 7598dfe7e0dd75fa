#include "jobs/train/gradient_exchange.hpp"

#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <utility>

namespace meshfold::jobs {
namespace {

at::Tensor part_of(const at::Tensor& flat, const ElementRange& range) {
  return flat.narrow(0, range.begin, range.size());
}

std::vector<std::int64_t> sizes_of(const std::vector<ElementRange>& shares) {
  std::vector<std::int64_t> sizes;
  for (const ElementRange& share : shares) sizes.push_back(share.size());
  return sizes;
}

}  // namespace

GradientExchange::GradientExchange(const models::ParameterStore& store, const dist::Mesh& mesh, StateSharding sharding,
                                   std::int64_t bucket_bytes)
    : store_(store),
      mesh_(mesh),
      sharded_(sharding == StateSharding::kOverData && mesh.data().size() > 1),
      blocks_(models::parameter_blocks(store)),
      buckets_(gradient_buckets(store, sharded_ ? mesh.data().size() : 1, bucket_bytes)),
      owned_(owned_elements(buckets_, sharded_ ? mesh.data().rank() : 0)),
      num_waiting_(buckets_.size()) {
  const at::Tensor own_number = at::full({1}, static_cast<std::int64_t>(blocks_.size()), at::kLong);
  const std::vector<at::Tensor> numbers = mesh.pipeline().all_gather(own_number);
  for (int stage = 0; stage < mesh.pipeline().size(); ++stage) {
    if (stage == mesh.pipeline().rank()) blocks_before_ = blocks_of_model_;
    blocks_of_model_ += numbers[static_cast<std::size_t>(stage)].item<std::int64_t>();
  }
  if (mesh.tensor().size() > 1) note_partial();
}

void GradientExchange::note_partial() {
  for (const ElementRange& own : owned_) {
    for (const models::Parameter& parameter : store_) {
      const ElementRange range{std::max(parameter.view.offset, own.begin),
                               std::min(parameter.view.offset + parameter.num_elements, own.end)};
      if (parameter.spec.gradient_is_partial() && range.size() > 0) partial_.push_back(range);
    }
  }
}

void GradientExchange::start(const at::Tensor& flat_gradient, std::int64_t first) {
  std::erase_if(under_way_, [](const auto& work) { return work->test(); });
  for (; num_waiting_ > 0 && buckets_[num_waiting_ - 1].range.begin >= first; --num_waiting_) {
    const GradientBucket& bucket = buckets_[num_waiting_ - 1];
    const at::Tensor part = part_of(flat_gradient, bucket.range);
    under_way_.push_back(sharded_ ? mesh_.data().reduce_scatter(part, sizes_of(bucket.shares))
                                  : mesh_.data().all_reduce(part, dist::ReduceOp::kSum));
  }
}

void GradientExchange::reduce(const at::Tensor& flat_gradient) {
  start(flat_gradient, 0);
  num_waiting_ = buckets_.size();
  for (const auto works = std::exchange(under_way_, {}); const auto& work : works) work->wait();
  sum_over_tensor(flat_gradient);
}

void GradientExchange::sum_over_tensor(const at::Tensor& flat_gradient) const {
  // A rank's shares of whole parameters are the same on all tensor ranks, so they have equally much to add.
  if (partial_.empty()) return;
  std::vector<at::Tensor> pieces;
  for (const ElementRange& range : partial_) pieces.push_back(part_of(flat_gradient, range));
  const at::Tensor together = at::cat(pieces);
  mesh_.tensor().all_reduce(together, dist::ReduceOp::kSum)->wait();
  std::int64_t offset = 0;
  for (const at::Tensor& piece : pieces) {
    piece.copy_(together.narrow(0, offset, piece.numel()));
    offset += piece.numel();
  }
}

double GradientExchange::norm(const models::FlatGradient& gradient) const {
  // A slot per block and tensor rank: whoever has a block writes its slot, the others have exact zeros there.
  const at::Tensor slots = at::zeros({mesh_.tensor().size(), blocks_of_model_}, at::kDouble);
  auto* const own = slots.mutable_data_ptr<double>() + mesh_.tensor().rank() * blocks_of_model_ + blocks_before_;
  const auto rank = static_cast<std::size_t>(sharded_ ? mesh_.data().rank() : 0);
  for (const GradientBucket& bucket : buckets_) {
    const std::size_t first = bucket.first_blocks[rank], end = bucket.first_blocks[rank + 1];
    std::ranges::copy(models::block_square_sums(std::span(blocks_).subspan(first, end - first), gradient), own + first);
    for (std::size_t b = first; b < end; ++b) {
      if (!store_[blocks_[b].parameter].spec.sharded() && mesh_.tensor().rank() > 0) own[b] = 0.0;  // a copy
    }
  }
  if (sharded_) mesh_.data().all_reduce(slots, dist::ReduceOp::kSum)->wait();
  mesh_.pipeline().all_reduce(slots, dist::ReduceOp::kSum)->wait();
  mesh_.tensor().all_reduce(slots, dist::ReduceOp::kSum)->wait();
  const auto* first = slots.const_data_ptr<double>();
  return std::sqrt(std::accumulate(first, first + slots.numel(), 0.0));
}

void GradientExchange::gather_values() const {
  if (!sharded_) return;
  std::vector<std::unique_ptr<dist::Work>> works;
  for (const GradientBucket& bucket : buckets_) {
    works.push_back(mesh_.data().all_gather_rows(part_of(store_.flat(), bucket.range), sizes_of(bucket.shares)));
  }
  for (const auto& work : works) work->wait();
}

}  // namespace meshfold::jobs
