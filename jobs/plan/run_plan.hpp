#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dist/mesh.hpp"
#include "jobs/config/commands.hpp"
#include "jobs/config/run_config.hpp"
#include "jobs/console.hpp"
#include "jobs/plan/memory_plan.hpp"
#include "jobs/train/exchange_layout.hpp"
#include "jobs/train/learning_rate_schedule.hpp"
#include "models/networks/stage_ranges.hpp"
#include "models/parameters/layout_map.hpp"

namespace meshfold::jobs {

/// One parameter of the model and where it lies.
struct ParameterPlan {
  std::string name;
  std::vector<std::int64_t> shape;                ///< of the whole tensor
  std::string rule;                               ///< of the layout map; empty: none, whole on every tensor rank
  std::vector<std::vector<std::int64_t>> shards;  ///< [tensor rank] extents; empty if the layout has faults
  std::optional<std::int64_t> layer;              ///< of the backbone; none: before layer 0, or of the head
  int stage = 0;                                  ///< pipeline rank that holds it
  bool compute_copy = false;                      ///< has a copy in the compute type
  bool frozen = false;
};

struct RankPlan {
  int rank = 0;  ///< in the world
  dist::MeshCoordinates place;
  RankMemory memory;
  AxisBytes sent;  ///< in all steps of the group's jobs
};

/// One training of the run: `train`, or a fold.
struct JobSteps {
  std::string name;
  std::size_t training_rows = 0, validation_rows = 0;
  std::int64_t steps_an_epoch = 0, steps = 0;
  RateSpan rates;
};

/// Ranks that train their jobs one after the other on one mesh.
struct GroupPlan {
  std::vector<int> ranks;         ///< of the world
  std::vector<std::size_t> jobs;  ///< places in RunPlan::jobs
  dist::MeshShape shape;
  int parts = 0;                           ///< packs a step
  std::int64_t steps = 0;                  ///< of its jobs together
  std::vector<models::LayerRange> stages;  ///< [pipeline rank]
  std::vector<RankPlan> plans;             ///< [rank of the group]; empty if the layout has faults
};

/// What a run would do, computed from its config, its model's config.json and its table, before any of it is done.
struct RunPlan {
  CommandName command = CommandName::kTrain;  ///< or kCv
  int num_ranks = 1;
  std::string model, precision, data;  ///< in words
  std::string data_source;             ///< where row and token counts come from
  std::vector<ParameterPlan> parameters;
  std::vector<std::string> faults;  ///< of the layout: the run would refuse it
  std::vector<std::string> whole;   ///< large parameters that lie whole on every rank of a tensor axis
  std::vector<JobSteps> jobs;
  std::vector<GroupPlan> groups;
  std::int64_t checkpoint_bytes = 0;  ///< of the tensors in one checkpoint of a job

  std::int64_t steps() const;  ///< of all jobs
};

/// Plans `command` (kCv or kTrain) on `num_ranks` ranks, in this process alone: no MPI, no device, no weights. Of the
/// table it needs row lengths, so an unprepared one is tokenized for the moment (prepare_dataset_alone). Throws what
/// the run would throw at its start, except for faults of the layout, which are part of the plan.
RunPlan plan_run(CommandName command, const RunConfig& config, int num_ranks, Console& console);

}  // namespace meshfold::jobs
