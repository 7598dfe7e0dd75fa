#pragma once

#include <cstdint>

#include "jobs/scores/metric_kinds.hpp"
#include "jobs/train/early_stopping.hpp"
#include "jobs/train/gradient_buckets.hpp"
#include "jobs/train/learning_rate_schedule.hpp"
#include "jobs/train/optimizer.hpp"
#include "jobs/train/pipeline_schedule.hpp"
#include "jobs/train/plateau_decay.hpp"
#include "models/losses/loss.hpp"
#include "models/networks/model.hpp"

namespace meshfold::jobs {

struct TrainingSection {
  int epochs = 3;
  int max_steps = 0;  ///< 0: no limit; else training ends after so many steps and the schedule spans them
  int batch_size = 32;
  int parts = 0;  ///< packs per step; 0: auto
  int max_tokens_per_pack = 4096;
  bool deterministic = false;
  models::Recompute recompute = models::Recompute::kNone;
  bool drop_last = false;
  double max_grad_norm = 1.0;  ///< 0: no clipping
  int eval_every_steps = 0;    ///< beside epoch ends; 0: at epoch ends only
  EarlyStoppingConfig early_stopping;
};

struct CheckpointSection {
  int every_steps = 0;  ///< 0: at epoch ends only
  int keep_last = 1;
};

/// Which weights a training run ends with: those of its best evaluation, or its last ones.
enum class Select { kBest, kLast };

/// All that training acts on. A run's configuration gives it; training itself knows of no configuration, so whoever
/// trains otherwise fills it in.
struct TrainSettings {
  std::uint32_t seed = 42;  ///< keys the order of the samples and all draws
  int threads = 0;          ///< per rank; 0: as many as the machine has
  models::LossConfig loss;
  OptimizerConfig optimizer;
  LearningRateSchedule schedule;
  PlateauConfig plateau;
  TrainingSection training;
  PipelineOrder pipeline_order = PipelineOrder::kOneForwardOneBackward;
  StateSharding state_sharding = StateSharding::kOverData;
  std::int64_t bucket_bytes = kBucketBytes;  ///< least size of the parts in which gradients are exchanged
  int evaluation_tokens_per_pack = 8192;     ///< at most
  MetricChoice metric;                       ///< what is best
  Select select = Select::kBest;
  CheckpointSection checkpoint;
};

}  // namespace meshfold::jobs
