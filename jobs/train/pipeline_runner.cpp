#include "jobs/train/pipeline_runner.hpp"

#include <ATen/ops/zeros.h>

#include <deque>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

namespace meshfold::jobs {
namespace {

using Works = std::vector<std::unique_ptr<dist::Work>>;

void wait_for(Works& works) {
  for (const auto& work : works) work->wait();
  works.clear();
}

class PipelineRun {
 public:
  PipelineRun(const PipelineSchedule& schedule, dist::ProcessGroup& pipeline, PipelineWorker& worker,
              std::exception_ptr failure)
      : schedule_(schedule),
        pipeline_(pipeline),
        worker_(worker),
        num_parts_(schedule.num_stages * schedule.num_chunks),
        failure_(std::move(failure)) {
    if (schedule.num_stages != pipeline.size()) {
      throw std::invalid_argument("a pipeline schedule of " + std::to_string(schedule.num_stages) + " stages on " +
                                  std::to_string(pipeline.size()) + " ranks");
    }
    if (schedule.num_stages == 1 && schedule.num_chunks > 1) {
      throw std::invalid_argument("one stage has no use for several chunks");
    }
  }

  bool operator()() {
    for (const PipelineCell& cell : schedule_.cells[static_cast<std::size_t>(pipeline_.rank())]) take(cell);
    for (auto& [cell, works] : forward_sends_) wait_for(works);
    for (Works& works : backward_sends_) wait_for(works);
    if (failure_) std::rethrow_exception(failure_);
    return !peer_failed_;
  }

 private:
  /// Messages of one direction between two stages arrive in the order in which they are sent.
  enum Tag { kForwardTag = 1, kBackwardTag = 2 };
  enum Mark { kFine = 0, kFailed = 1 };

  bool failed() const { return failure_ != nullptr || peer_failed_; }
  int part_of(const PipelineCell& cell) const { return cell.chunk * schedule_.num_stages + pipeline_.rank(); }
  int neighbour(int step) const { return (pipeline_.rank() + step + pipeline_.size()) % pipeline_.size(); }

  template <typename Compute>
  void attempt(Compute compute) {
    if (failed()) return;
    try {
      compute();
    } catch (...) {
      failure_ = std::current_exception();
    }
  }

  void take(const PipelineCell& cell) {
    if (cell.phase == PipelinePhase::kWeight) return attempt([&] { worker_.weight(cell); });
    const bool forward = cell.phase == PipelinePhase::kForward;
    const bool from_other = forward ? part_of(cell) > 0 : part_of(cell) < num_parts_ - 1;
    const bool to_other = forward ? part_of(cell) < num_parts_ - 1 : part_of(cell) > 0;
    const int tag = forward ? kForwardTag : kBackwardTag, step = forward ? 1 : -1;
    std::vector<at::Tensor> received, result;
    if (from_other) received = receive(cell, neighbour(-step), tag);
    // Its answer has come, so what went forward has long arrived.
    if (!forward && from_other) wait_for(forward_sends_[{cell.pack, cell.chunk}]);
    attempt([&] { result = forward ? worker_.forward(cell, received) : worker_.backward(cell, received); });
    if (!to_other) return;
    Works works = send(result, neighbour(step), tag);
    if (forward) {
      forward_sends_[{cell.pack, cell.chunk}] = std::move(works);
    } else {
      backward_sends_.push_back(std::move(works));
    }
    keep_few_sends();
  }

  std::vector<at::Tensor> receive(const PipelineCell& cell, int peer, int tag) {
    const at::Tensor mark = at::zeros({1}, at::kInt);
    pipeline_.receive(mark, peer, tag)->wait();
    if (mark.item<int>() != kFine) {
      peer_failed_ = true;
      return {};
    }
    std::vector<at::Tensor> buffers = worker_.buffers(cell);
    for (const at::Tensor& buffer : buffers) {
      if (buffer.numel() > 0) pipeline_.receive(buffer, peer, tag)->wait();
    }
    return buffers;
  }

  Works send(const std::vector<at::Tensor>& tensors, int peer, int tag) {
    Works works;
    const at::Tensor mark = at::zeros({1}, at::kInt);
    mark.fill_(failed() ? kFailed : kFine);
    works.push_back(pipeline_.send(mark, peer, tag));
    if (failed()) return works;
    for (const at::Tensor& tensor : tensors) {
      if (tensor.numel() > 0) works.push_back(pipeline_.send(tensor, peer, tag));
    }
    return works;
  }

  /// A stage takes messages in their order, whatever becomes of later ones; so old sends can be waited for without
  /// a stage waiting for itself. A forward pass that is answered keeps its sends: its packs are held anyway.
  void keep_few_sends() {
    const auto few = static_cast<std::size_t>(num_parts_);
    for (; backward_sends_.size() > few; backward_sends_.pop_front()) wait_for(backward_sends_.front());
    if (has_answers_) return;
    while (forward_sends_.size() > few) {
      wait_for(forward_sends_.begin()->second);
      forward_sends_.erase(forward_sends_.begin());
    }
  }

  static bool has_backward(const PipelineSchedule& schedule) {
    for (const PipelineCell& cell : schedule.cells.front()) {
      if (cell.phase == PipelinePhase::kBackward) return true;
    }
    return false;
  }

  const PipelineSchedule& schedule_;
  dist::ProcessGroup& pipeline_;
  PipelineWorker& worker_;
  int num_parts_;
  std::exception_ptr failure_;
  bool peer_failed_ = false;
  bool has_answers_ = has_backward(schedule_);
  std::map<std::pair<int, int>, Works> forward_sends_;  ///< [pack, chunk]
  std::deque<Works> backward_sends_;
};

}  // namespace

bool run_pipeline(const PipelineSchedule& schedule, dist::ProcessGroup& pipeline, PipelineWorker& worker,
                  const std::exception_ptr& failure) {
  return PipelineRun(schedule, pipeline, worker, failure)();
}

}  // namespace meshfold::jobs
