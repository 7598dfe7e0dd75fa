#pragma once

#include <vector>

namespace meshfold::jobs {

enum class PipelinePhase {
  kForward,
  kBackward,  ///< gradients of activations; of weights too, unless the schedule has kWeight cells
  kWeight,    ///< gradients of weights, where they are put off
};

/// One thing that a stage does with one pack.
struct PipelineCell {
  PipelinePhase phase = PipelinePhase::kForward;
  int pack = 0;
  int chunk = 0;  ///< which of the stage's parts of the model
  bool operator==(const PipelineCell&) const = default;
};

/// What one stage does, in order.
using PipelineRow = std::vector<PipelineCell>;

/// What every stage of a pipeline does with the packs of a pass. The model is cut into stages x chunks parts; part
/// chunk * stages + stage is a stage's, and a pack passes the parts in order, forward, and back. A table and nothing
/// else: who runs it sends and receives where neighbouring parts are on different stages. On every part backwards come
/// in pack order.
struct PipelineSchedule {
  int num_stages = 1, num_packs = 1, num_chunks = 1;
  std::vector<PipelineRow> cells;  ///< [stage]
};

enum class PipelineOrder {
  kGpipe,                  ///< all forwards, then all backwards (Huang et al. 2019)
  kOneForwardOneBackward,  ///< a backward as soon as one can be (PipeDream-Flush, Narayanan et al. 2021), so that stage
                           ///< s holds at most stages - s packs
};

/// The schedule of a step. With one stage every pack goes forward and back in turn, whatever the order. Throws
/// invalid_argument unless there is at least one stage and one pack.
PipelineSchedule make_pipeline_schedule(PipelineOrder order, int num_stages, int num_packs);

/// The cells of one phase alone: a pass without gradients, or the backward of packs that went forward before.
PipelineSchedule one_phase(PipelinePhase phase, int num_stages, int num_packs);

/// `ahead` forwards, then a forward and a backward in turn, then the backwards that are left.
PipelineRow in_turn(const PipelineRow& forwards, const PipelineRow& backwards, int ahead);

}  // namespace meshfold::jobs
