#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <exception>
#include <vector>

#include "dist/process_group.hpp"
#include "jobs/train/pipeline_schedule.hpp"

namespace meshfold::jobs {

/// What a stage does in the cells of a schedule. The parts of the model that a pack passes agree on their messages
/// without a word: what forward() or backward() of one returns has the shapes and types of the other's buffers.
class PipelineWorker {
 public:
  virtual ~PipelineWorker() = default;
  /// New tensors for what the part before hands to a forward cell, or the part behind to a backward cell. Must not
  /// fail where the other side does not.
  virtual std::vector<at::Tensor> buffers(const PipelineCell& cell) = 0;
  /// What goes on to the part behind, contiguous; of the last part it is ignored.
  virtual std::vector<at::Tensor> forward(const PipelineCell& cell, const std::vector<at::Tensor>& received) = 0;
  /// What goes back to the part before, contiguous; of the first part it is ignored.
  virtual std::vector<at::Tensor> backward(const PipelineCell& cell, const std::vector<at::Tensor>& received) = 0;
  virtual void weight(const PipelineCell&) {}
};

/// Bytes of the mark in front of the tensors that a part hands to the next, or back.
inline constexpr std::int64_t kMarkBytes = sizeof(std::int32_t);

/// Runs this stage's cells in the table's order. Collective over `pipeline`, whose rank is the stage, with the same
/// table. Sends do not block, so tables whose cells never wait for each other forever run through. Where a cell throws,
/// or if `failure` says that this rank has failed before, the stage computes no further, but hands a mark of it on in
/// every message that is left; so all stages come to the end of the table. The failed rank then rethrows; returns false
/// on the others that heard of it, which learn the reason when the ranks agree next. PeerLost ends the run at once.
bool run_pipeline(const PipelineSchedule& schedule, dist::ProcessGroup& pipeline, PipelineWorker& worker,
                  const std::exception_ptr& failure = {});

}  // namespace meshfold::jobs
