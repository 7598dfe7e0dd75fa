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

/// What every stage of a pipeline does with the packs of a step, in order. The model is cut into stages x chunks parts;
/// part chunk * stages + stage is a stage's, and a pack passes the parts in order, forward, and back. A table and
/// nothing else: who runs it sends and receives where neighbouring parts are on different stages.
struct PipelineSchedule {
  int num_stages = 1, num_packs = 1, num_chunks = 1;
  std::vector<std::vector<PipelineCell>> cells;  ///< [stage]
};

enum class PipelineOrder { kGpipe, kOneForwardOneBackward, kInterleaved, kZeroBubble };

/// gpipe (Huang et al. 2019): all forwards, then all backwards. kOneForwardOneBackward (PipeDream-Flush, Narayanan et
/// al. 2021): a backward as soon as one can be, so that stage s holds at most stages - s packs. kInterleaved (Narayanan
/// et al. 2021): several chunks a stage, which divides the idle time by their number; the packs must be a multiple of
/// the stages. kZeroBubble (ZB-H1, Qi et al. 2023): weight gradients fill what would be idle. `num_chunks` above 1 is
/// kInterleaved's alone. With one stage every pack goes forward and back in turn, whatever the name (but gpipe). On
/// every part backwards come in pack order. Throws invalid_argument for numbers that do not fit.
PipelineSchedule make_pipeline_schedule(PipelineOrder name, int num_stages, int num_packs, int num_chunks = 1);

/// Time that a cell takes on any stage.
struct CellCosts {
  double forward = 1, backward = 2, weight = 0;
};

struct Timeline {
  double length = 0;           ///< until the last stage is done
  std::vector<double> idle;    ///< [stage] of `length`
  std::vector<int> most_held;  ///< [stage] packs x chunks between their forward and their last backward cell
};

/// Runs the table with stages that take the given time and messages that take none. Throws logic_error if the stages
/// wait for each other forever, or if a pack's cells are not each there once.
Timeline run_on_clock(const PipelineSchedule& schedule, const CellCosts& costs);

/// The idle time of each stage by the published formula, for packs at least as many as the stages.
double idle_by_formula(PipelineOrder name, int num_stages, int num_chunks, const CellCosts& costs);

}  // namespace meshfold::jobs
