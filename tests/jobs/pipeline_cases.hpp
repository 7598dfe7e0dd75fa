#pragma once

#include "jobs/reference/pipeline_clock.hpp"
#include "jobs/reference/pipeline_tables.hpp"
#include "jobs/train/pipeline_schedule.hpp"

namespace meshfold::tests {

/// A schedule for any number of stages, and costs of its cells with which its idle time is that of the formula.
struct PipelineCase {
  const char* name;
  jobs::PipelineSchedule (*make)(int num_stages, int num_packs);
  jobs::CellCosts costs;

  bool puts_weights_off() const { return costs.weight > 0; }
};

inline constexpr PipelineCase kGpipe{"Gpipe",
                                     [](int num_stages, int num_packs) {
                                       return make_pipeline_schedule(jobs::PipelineOrder::kGpipe, num_stages,
                                                                     num_packs);
                                     },
                                     {1, 2, 0}};
inline constexpr PipelineCase kOneForwardOneBackward{
    "OneForwardOneBackward",
    [](int num_stages, int num_packs) {
      return make_pipeline_schedule(jobs::PipelineOrder::kOneForwardOneBackward, num_stages, num_packs);
    },
    {1, 2, 0}};
inline constexpr PipelineCase kInterleavedTwo{
    "InterleavedTwo",
    [](int num_stages, int num_packs) { return jobs::interleaved_schedule(num_stages, num_packs, 2); },
    {1, 2, 0}};
inline constexpr PipelineCase kInterleavedThree{
    "InterleavedThree",
    [](int num_stages, int num_packs) { return jobs::interleaved_schedule(num_stages, num_packs, 3); },
    {1, 2, 0}};
inline constexpr PipelineCase kZeroBubble{"ZeroBubble", jobs::zero_bubble_schedule, {1, 1, 1}};

}  // namespace meshfold::tests
