#pragma once

#include <vector>

#include "jobs/train/pipeline_schedule.hpp"

namespace meshfold::jobs {

/// Time that a cell takes on any stage, over all its chunks.
struct CellCosts {
  double forward = 1, backward = 2;
  double weight = 0;  ///< 0: the schedule has no such cells
};

struct Timeline {
  double length = 0;           ///< until the last stage is done
  std::vector<double> idle;    ///< [stage] of `length`
  std::vector<int> most_held;  ///< [stage] packs x chunks between their forward and their last backward cell
};

/// Runs the table with stages that take the given time and messages that take none. Throws logic_error if the stages
/// wait for each other forever, or if a pack's cells are not each there once.
Timeline run_on_clock(const PipelineSchedule& schedule, const CellCosts& costs);

/// The idle time of each stage by the published formulas, for packs at least as many as the stages.
double idle_by_formula(int num_stages, int num_chunks, const CellCosts& costs);

}  // namespace meshfold::jobs
