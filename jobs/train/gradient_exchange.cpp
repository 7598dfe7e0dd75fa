#include "jobs/train/gradient_exchange.hpp"

#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

namespace meshfold::jobs {

namespace {

std::vector<ElementRange> elements_of(const models::ParameterStore& store,
                                      std::span<const models::ParameterBlock> blocks,
                                      std::span<const std::size_t> first_blocks) {
  const auto place = [&](std::size_t block) {
    return block == blocks.size() ? store.num_elements() : blocks[block].begin;
  };
  std::vector<ElementRange> ranges;
  for (std::size_t r = 0; r + 1 < first_blocks.size(); ++r) {
    ranges.push_back({place(first_blocks[r]), place(first_blocks[r + 1])});
  }
  return ranges;
}

}  // namespace

std::vector<ElementRange> share_elements(const models::ParameterStore& store, int ranks) {
  const auto blocks = models::parameter_blocks(store);
  return elements_of(store, blocks, models::share_blocks(blocks, ranks));
}

GradientExchange::GradientExchange(const models::ParameterStore& store, const dist::Mesh& mesh, StateSharding sharding)
    : store_(store),
      mesh_(mesh),
      sharded_(sharding == StateSharding::kOverData && mesh.data().size() > 1),
      blocks_(models::parameter_blocks(store)),
      end_block_(blocks_.size()),
      owned_(whole_range(store)) {
  const at::Tensor own_number = at::full({1}, static_cast<std::int64_t>(blocks_.size()), at::kLong);
  const std::vector<at::Tensor> numbers = mesh.pipeline().all_gather(own_number);
  for (int stage = 0; stage < mesh.pipeline().size(); ++stage) {
    if (stage == mesh.pipeline().rank()) blocks_before_ = blocks_of_model_;
    blocks_of_model_ += numbers[static_cast<std::size_t>(stage)].item<std::int64_t>();
  }
  if (sharded_) {
    const std::vector<std::size_t> shares = models::share_blocks(blocks_, mesh.data().size());
    const std::vector<ElementRange> ranges = elements_of(store, blocks_, shares);
    for (const ElementRange& range : ranges) elements_of_ranks_.push_back(range.size());
    const auto rank = static_cast<std::size_t>(mesh.data().rank());
    first_block_ = shares[rank];
    end_block_ = shares[rank + 1];
    owned_ = ranges[rank];
  }
  if (mesh.tensor().size() == 1) return;
  for (const models::Parameter& parameter : store) {
    const ElementRange range{std::max(parameter.view.offset, owned_.begin),
                             std::min(parameter.view.offset + parameter.num_elements, owned_.end)};
    if (parameter.spec.gradient_is_partial() && range.size() > 0) partial_.push_back(range);
  }
}

void GradientExchange::reduce(const at::Tensor& flat_gradient) const {
  if (sharded_) {
    mesh_.data().reduce_scatter(flat_gradient, elements_of_ranks_)->wait();
  } else {
    mesh_.data().all_reduce(flat_gradient, dist::ReduceOp::kSum)->wait();
  }
  sum_over_tensor(flat_gradient);
}

void GradientExchange::sum_over_tensor(const at::Tensor& flat_gradient) const {
  // A rank's shares of whole parameters are the same on all tensor ranks, so they have equally much to add.
  if (partial_.empty()) return;
  std::vector<at::Tensor> pieces;
  for (const ElementRange& range : partial_) pieces.push_back(flat_gradient.narrow(0, range.begin, range.size()));
  const at::Tensor together = at::cat(pieces);
  mesh_.tensor().all_reduce(together, dist::ReduceOp::kSum)->wait();
  std::int64_t offset = 0;
  for (const at::Tensor& piece : pieces) {
    piece.copy_(together.narrow(0, offset, piece.numel()));
    offset += piece.numel();
  }
}

double GradientExchange::norm(const at::Tensor& flat_gradient) const {
  // A slot a block and tensor rank: whoever has a block writes its slot, the others have exact zeros there.
  const at::Tensor slots = at::zeros({mesh_.tensor().size(), blocks_of_model_}, at::kDouble);
  auto* const own = slots.mutable_data_ptr<double>() + mesh_.tensor().rank() * blocks_of_model_ + blocks_before_;
  const auto owned = std::span(blocks_).subspan(first_block_, end_block_ - first_block_);
  std::ranges::copy(models::block_square_sums(owned, flat_gradient), own + first_block_);
  for (std::size_t b = first_block_; b < end_block_; ++b) {
    if (!store_[blocks_[b].parameter].spec.sharded() && mesh_.tensor().rank() > 0) own[b] = 0.0;  // a copy
  }
  if (sharded_) mesh_.data().all_reduce(slots, dist::ReduceOp::kSum)->wait();
  mesh_.pipeline().all_reduce(slots, dist::ReduceOp::kSum)->wait();
  mesh_.tensor().all_reduce(slots, dist::ReduceOp::kSum)->wait();
  const auto* first = slots.const_data_ptr<double>();
  return std::sqrt(std::accumulate(first, first + slots.numel(), 0.0));
}

void GradientExchange::gather_values() const {
  if (sharded_) mesh_.data().all_gather_rows(store_.flat(), elements_of_ranks_)->wait();
}

}  // namespace meshfold::jobs
