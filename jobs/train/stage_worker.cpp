#include "jobs/train/stage_worker.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros_like.h>

#include <utility>

#include "jobs/train/pack_input.hpp"
#include "models/ops/autograd.hpp"

namespace meshfold::jobs {

StageWorker::StageWorker(models::Model& model, const data::Dataset& dataset, std::vector<PackRows> packs,
                         const models::ForwardContext& context, models::GradientAccumulator* gradients,
                         models::PackPlace last_pack)
    : model_(model),
      stage_(model.stage()),
      dataset_(dataset),
      packs_(std::move(packs)),
      context_(context),
      gradients_(gradients),
      last_pack_(last_pack) {
  context_.gradients = gradients;
}

StageWorker::Held& StageWorker::held(int pack) {
  const auto found = held_.find(pack);
  if (found != held_.end()) return found->second;
  Held fresh;
  fresh.batch = data::assemble(dataset_, packs_[static_cast<std::size_t>(pack)]);
  fresh.input = to_packed_input(fresh.batch, model_.parameters().flat().device());
  if (stage_ != nullptr) fresh.shape = stage_->shape_of(fresh.input);
  return held_.emplace(pack, std::move(fresh)).first->second;
}

std::vector<at::Tensor> StageWorker::buffers(const PipelineCell& cell) {
  if (is_empty(cell.pack)) return {};
  const models::PackShape& shape = held(cell.pack).shape;
  const bool forward = cell.phase == PipelinePhase::kForward;
  std::vector<at::Tensor> tensors;
  for (const models::StreamPart& part : forward ? stage_->incoming(shape) : stage_->outgoing(shape)) {
    if (forward || part.learns) tensors.push_back(at::empty(part.shape, model_.parameters().flat().options()));
  }
  return tensors;
}

std::vector<at::Tensor> StageWorker::forward(const PipelineCell& cell, const std::vector<at::Tensor>& received) {
  if (is_empty(cell.pack)) return {};
  Held& pack = held(cell.pack);
  const at::AutoGradMode grad_mode(trains());
  pack.received = received;
  if (trains() && !received.empty()) {
    const std::vector<models::StreamPart> parts = stage_->incoming(pack.shape);
    for (std::size_t i = 0; i < parts.size(); ++i) pack.received[i].set_requires_grad(parts[i].learns);
  }
  pack.results = stage_ == nullptr ? std::vector<at::Tensor>{model_.forward(pack.input, context_)}
                                   : stage_->run(pack.input, pack.received, context_);
  if (is_last() && take_outputs_) take_outputs_(cell.pack, pack.batch, pack.results.front());
  std::vector<at::Tensor> sent;
  if (!is_last()) {
    for (const at::Tensor& result : pack.results) sent.push_back(result.detach().contiguous());
  }
  if (!trains()) held_.erase(cell.pack);
  return sent;
}

std::vector<at::Tensor> StageWorker::backward(const PipelineCell& cell, const std::vector<at::Tensor>& received) {
  const bool is_last_pack = static_cast<std::size_t>(cell.pack) + 1 == packs_.size();  // backwards come in pack order
  gradients_->begin_pack(is_last_pack ? last_pack_ : models::PackPlace::kInside);
  std::vector<at::Tensor> sent;
  // An empty pack still takes its place in the tree of sums.
  if (!is_empty(cell.pack)) {
    const at::AutoGradMode with_grad(true);
    Held& pack = held(cell.pack);
    if (is_last()) {
      loss_(cell.pack, pack.batch, pack.results.front()).backward();
    } else {
      std::vector<at::Tensor> gradients;
      auto next = received.begin();
      for (const models::StreamPart& part : stage_->outgoing(pack.shape)) {
        gradients.push_back(part.learns ? *next++ : at::Tensor());
      }
      models::ops::run_backward(pack.results, gradients);
    }
    for (const at::Tensor& part : pack.received) {
      if (!part.requires_grad()) continue;
      sent.push_back(part.grad().defined() ? part.grad().contiguous() : at::zeros_like(part));
    }
    held_.erase(cell.pack);
  }
  gradients_->end_pack();
  return sent;
}

}  // namespace meshfold::jobs
