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
      layout_(store, mesh.shape(), mesh.coordinates(), sharding, bucket_bytes),
      num_waiting_(layout_.buckets().size()) {
  const at::Tensor own_number = at::full({1}, static_cast<std::int64_t>(layout_.blocks().size()), at::kLong);
  const std::vector<at::Tensor> numbers = mesh.pipeline().all_gather(own_number);
  for (int stage = 0; stage < mesh.pipeline().size(); ++stage) {
    if (stage == mesh.pipeline().rank()) blocks_before_ = blocks_of_model_;
    blocks_of_model_ += numbers[static_cast<std::size_t>(stage)].item<std::int64_t>();
  }
}

void GradientExchange::start(const at::Tensor& flat_gradient, std::int64_t first) {
  std::erase_if(under_way_, [](const auto& work) { return work->test(); });
  const std::vector<GradientBucket>& buckets = layout_.buckets();
  for (; num_waiting_ > 0 && buckets[num_waiting_ - 1].range.begin >= first; --num_waiting_) {
    const GradientBucket& bucket = buckets[num_waiting_ - 1];
    const at::Tensor part = part_of(flat_gradient, bucket.range);
    under_way_.push_back(sharded() ? mesh_.data().reduce_scatter(part, sizes_of(bucket.shares))
                                   : mesh_.data().all_reduce(part, dist::ReduceOp::kSum));
  }
}

void GradientExchange::reduce(const at::Tensor& flat_gradient) {
  start(flat_gradient, 0);
  num_waiting_ = layout_.buckets().size();
  for (const auto works = std::exchange(under_way_, {}); const auto& work : works) work->wait();
  sum_over_tensor(flat_gradient);
}

void GradientExchange::sum_over_tensor(const at::Tensor& flat_gradient) const {
  // A rank's shares of whole parameters are the same on all tensor ranks, so they have equally much to add.
  if (layout_.partial().empty()) return;
  std::vector<at::Tensor> pieces;
  for (const ElementRange& range : layout_.partial()) pieces.push_back(part_of(flat_gradient, range));
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
  const std::vector<models::ParameterBlock>& blocks = layout_.blocks();
  for (const GradientBucket& bucket : layout_.buckets()) {
    const std::size_t first = bucket.first_blocks[layout_.share()], end = bucket.first_blocks[layout_.share() + 1];
    std::ranges::copy(models::block_square_sums(std::span(blocks).subspan(first, end - first), gradient), own + first);
    for (std::size_t b = first; b < end; ++b) {
      if (!store_[blocks[b].parameter].spec.sharded() && mesh_.tensor().rank() > 0) own[b] = 0.0;  // a copy
    }
  }
  if (sharded()) mesh_.data().all_reduce(slots, dist::ReduceOp::kSum)->wait();
  mesh_.pipeline().all_reduce(slots, dist::ReduceOp::kSum)->wait();
  mesh_.tensor().all_reduce(slots, dist::ReduceOp::kSum)->wait();
  const auto* first = slots.const_data_ptr<double>();
  return std::sqrt(std::accumulate(first, first + slots.numel(), 0.0));
}

void GradientExchange::gather_values() const {
  if (!sharded()) return;
  std::vector<std::unique_ptr<dist::Work>> works;
  for (const GradientBucket& bucket : layout_.buckets()) {
    works.push_back(mesh_.data().all_gather_rows(part_of(store_.flat(), bucket.range), sizes_of(bucket.shares)));
  }
  for (const auto& work : works) work->wait();
}

}  // namespace meshfold::jobs
