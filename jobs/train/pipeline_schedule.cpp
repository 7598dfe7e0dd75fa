#include "jobs/train/pipeline_schedule.hpp"

#include <algorithm>
#include <cstddef>
#include <stdexcept>

namespace meshfold::jobs {
namespace {

PipelineRow row_of(PipelinePhase phase, int num_packs) {
  PipelineRow row;
  for (int pack = 0; pack < num_packs; ++pack) row.push_back({phase, pack, 0});
  return row;
}

}  // namespace

PipelineSchedule make_pipeline_schedule(PipelineOrder order, int num_stages, int num_packs) {
  if (num_stages < 1 || num_packs < 1) {
    throw std::invalid_argument("a pipeline schedule needs at least one stage and one pack");
  }
  const PipelineRow forwards = row_of(PipelinePhase::kForward, num_packs),
                    backwards = row_of(PipelinePhase::kBackward, num_packs);
  const bool all_forwards_first = order == PipelineOrder::kGpipe && num_stages > 1;
  PipelineSchedule schedule{num_stages, num_packs, 1, {}};
  for (int stage = 0; stage < num_stages; ++stage) {
    schedule.cells.push_back(in_turn(forwards, backwards, all_forwards_first ? num_packs : num_stages - 1 - stage));
  }
  return schedule;
}

PipelineSchedule one_phase(PipelinePhase phase, int num_stages, int num_packs) {
  PipelineSchedule schedule{num_stages, num_packs, 1, {}};
  schedule.cells.assign(static_cast<std::size_t>(num_stages), row_of(phase, num_packs));
  return schedule;
}

PipelineRow in_turn(const PipelineRow& forwards, const PipelineRow& backwards, int ahead) {
  const auto warm_up = static_cast<std::size_t>(std::min<int>(ahead, static_cast<int>(forwards.size())));
  PipelineRow row(forwards.begin(), forwards.begin() + static_cast<std::ptrdiff_t>(warm_up));
  std::size_t next = 0;
  for (std::size_t i = warm_up; i < forwards.size(); ++i) {
    row.push_back(forwards[i]);
    row.push_back(backwards[next++]);
  }
  row.insert(row.end(), backwards.begin() + static_cast<std::ptrdiff_t>(next), backwards.end());
  return row;
}

}  // namespace meshfold::jobs
