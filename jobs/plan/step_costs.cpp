#include "jobs/plan/step_costs.hpp"

#include <algorithm>
#include <functional>
#include <numeric>
#include <vector>

#include "jobs/train/pack_input.hpp"
#include "jobs/train/pipeline_runner.hpp"

namespace meshfold::jobs {
namespace {

enum class Way { kForward, kBackward };

/// The mark, and the parts of a pack behind it; on the way back the gradients of those that learn.
std::int64_t message_bytes(const PackCosts& pack, const std::vector<models::StreamPart>& parts, Way way) {
  std::int64_t bytes = kMarkBytes;
  if (pack.shape.tokens == 0) return bytes;
  for (const models::StreamPart& part : parts) {
    if (way == Way::kBackward && !part.learns) continue;
    bytes += std::accumulate(part.shape.begin(), part.shape.end(), static_cast<std::int64_t>(sizeof(float)),
                             std::multiplies<>());
  }
  return bytes;
}

}  // namespace

StepPeak step_peak(const PipelineSchedule& schedule, int stage, std::span<const PackCosts> packs) {
  StepPeak peak;
  std::int64_t held = 0, sent_back = 0;
  const auto look = [&](std::int64_t working) {
    if (held + working > peak.total()) peak = {held, working};
  };
  for (const PipelineCell& cell : schedule.cells[static_cast<std::size_t>(stage)]) {
    const auto& [shape, costs] = packs[static_cast<std::size_t>(cell.pack)];
    if (shape.tokens == 0) continue;
    const std::int64_t kept = packed_input_bytes(shape.tokens) + costs.blocks.kept;
    if (cell.phase == PipelinePhase::kForward) {
      held += kept;
      look(costs.blocks.working_forward);
    } else {
      look(costs.blocks.working_backward + sent_back);
      held -= kept;
      // Gradients for the stage before stay until it has taken them.
      if (stage > 0) sent_back = std::min(sent_back + costs.stream, schedule.num_stages * costs.stream);
    }
  }
  return peak;
}

AxisBytes pack_traffic(const models::PipelineStage& stage, const PackCosts& pack, int forward_passes) {
  AxisBytes sent;
  if (!stage.is_last()) {
    sent.pipeline += forward_passes * message_bytes(pack, stage.outgoing(pack.shape), Way::kForward);
  }
  if (!stage.is_first()) sent.pipeline += message_bytes(pack, stage.incoming(pack.shape), Way::kBackward);
  sent.tensor = forward_passes * pack.stage.blocks.sent_forward + pack.stage.blocks.sent_backward;
  return sent;
}

}  // namespace meshfold::jobs
