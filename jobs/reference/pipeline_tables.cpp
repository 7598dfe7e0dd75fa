#include "jobs/reference/pipeline_tables.hpp"

#include <cstddef>
#include <stdexcept>
#include <string>

namespace meshfold::jobs {
namespace {

/// Packs go through all chunks in groups of as many packs as there are stages.
PipelineRow in_groups(PipelinePhase phase, int num_stages, int num_packs, int num_chunks) {
  PipelineRow row;
  for (int k = 0; k < num_packs * num_chunks; ++k) {
    const int group = k / (num_stages * num_chunks), place = k % (num_stages * num_chunks);
    const int chunk = place / num_stages;
    row.push_back({phase, group * num_stages + place % num_stages,
                   phase == PipelinePhase::kForward ? chunk : num_chunks - 1 - chunk});
  }
  return row;
}

/// Stage s puts off s weight gradients, and does the rest as soon as it can.
PipelineRow with_weights_put_off(const PipelineRow& row, int stage, int num_packs) {
  PipelineRow result;
  int backwards = 0, weights = 0;
  for (const PipelineCell& cell : row) {
    result.push_back(cell);
    if (cell.phase == PipelinePhase::kBackward && ++backwards - weights > stage) {
      result.push_back({PipelinePhase::kWeight, weights++, 0});
    }
  }
  while (weights < num_packs) result.push_back({PipelinePhase::kWeight, weights++, 0});
  return result;
}

}  // namespace

PipelineSchedule interleaved_schedule(int num_stages, int num_packs, int num_chunks) {
  if (num_stages < 1 || num_packs < 1 || num_chunks < 1) {
    throw std::invalid_argument("an interleaved schedule needs at least one stage, pack and chunk");
  }
  if (num_packs % num_stages != 0) {
    throw std::invalid_argument("an interleaved schedule needs a multiple of " + std::to_string(num_stages) +
                                " packs, not " + std::to_string(num_packs));
  }
  PipelineSchedule schedule{num_stages, num_packs, num_chunks, {}};
  for (int stage = 0; stage < num_stages; ++stage) {
    schedule.cells.push_back(in_turn(in_groups(PipelinePhase::kForward, num_stages, num_packs, num_chunks),
                                     in_groups(PipelinePhase::kBackward, num_stages, num_packs, num_chunks),
                                     (num_stages - 1 - stage) * 2 + (num_chunks - 1) * num_stages));
  }
  return schedule;
}

PipelineSchedule zero_bubble_schedule(int num_stages, int num_packs) {
  PipelineSchedule schedule = make_pipeline_schedule(PipelineOrder::kOneForwardOneBackward, num_stages, num_packs);
  for (int stage = 0; stage < num_stages; ++stage) {
    PipelineRow& row = schedule.cells[static_cast<std::size_t>(stage)];
    row = with_weights_put_off(row, stage, num_packs);
  }
  return schedule;
}

}  // namespace meshfold::jobs
