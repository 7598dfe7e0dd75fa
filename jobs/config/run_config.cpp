#include "jobs/config/run_config.hpp"

namespace meshfold::jobs {

TrainSettings train_settings(const RunConfig& config) {
  TrainSettings settings;
  settings.seed = config.run.seed;
  settings.threads = config.run.threads;
  settings.loss = config.loss;
  settings.optimizer = config.optimizer;
  settings.schedule = config.schedule;
  settings.plateau = config.plateau;
  settings.training = config.training;
  settings.pipeline_order = config.pipeline.schedule;
  settings.state_sharding = config.mesh.shard_optimizer ? StateSharding::kOverData : StateSharding::kOff;
  settings.bucket_bytes = bucket_bytes(config.mesh);
  settings.evaluation_tokens_per_pack = config.predict.max_tokens_per_pack;
  settings.metric = config.cv.metric;
  settings.select = config.cv.select;
  settings.checkpoint = config.checkpoint;
  return settings;
}

}  // namespace meshfold::jobs
