#include "jobs/train/training_progress.hpp"

#include "base/checksum.hpp"
#include "jobs/error.hpp"
#include "jobs/scores/scores_json.hpp"

namespace meshfold::jobs {
namespace {

using nlohmann::json;

json to_json(const std::optional<double>& value) { return value ? json(*value) : json(); }

std::optional<double> number_from(const json& value) {
  return value.is_null() ? std::nullopt : std::optional(value.get<double>());
}

json to_json(const EarlyStopping::State& state) { return {{"best", to_json(state.best)}, {"num_bad", state.num_bad}}; }

EarlyStopping::State early_stopping_from(const json& state) {
  return {number_from(state.at("best")), state.at("num_bad").get<int>()};
}

json to_json(const PlateauDecay::State& state) {
  return {{"factor", state.factor},
          {"best", to_json(state.best)},
          {"num_bad", state.num_bad},
          {"cooldown", state.cooldown}};
}

PlateauDecay::State plateau_from(const json& state) {
  return {state.at("factor").get<double>(), number_from(state.at("best")), state.at("num_bad").get<int>(),
          state.at("cooldown").get<int>()};
}

}  // namespace

std::string hash_rows(const std::vector<std::uint32_t>& training, const std::vector<std::uint32_t>& validation) {
  base::Xxh3Stream hash;
  for (const auto* rows : {&training, &validation}) {
    const std::uint64_t size = rows->size();
    hash.add(&size, sizeof size);
    hash.add(rows->data(), rows->size() * sizeof(std::uint32_t));
  }
  return hash.hex();
}

json to_state(const TrainingProgress& progress, const TrainingIdentity& identity, std::int64_t num_updates,
              std::int64_t steps_per_epoch, int parts, int data_ranks) {
  return {{"step", progress.step},
          {"epoch", progress.step / steps_per_epoch},
          {"step_in_epoch", progress.step % steps_per_epoch},
          {"cursor", progress.cursor},
          {"evaluated_step", progress.evaluated_step},
          {"best_step", progress.best_step},
          {"best_scores", scores_to_json(progress.best_scores)},
          {"last_scores", scores_to_json(progress.last_scores)},
          {"early_stopping", to_json(progress.early_stopping)},
          {"plateau", to_json(progress.plateau)},
          {"stopped_early", progress.stopped_early},
          {"seconds", progress.seconds},
          {"num_updates", num_updates},
          {"num_steps", identity.num_steps},
          {"seed", identity.seed},
          {"config_hash", identity.config_hash},
          {"data_hash", identity.data_hash},
          {"rows_hash", identity.rows_hash},
          {"parts", parts},
          {"data_ranks", data_ranks}};
}

ResumedState from_state(const json& state, const TrainingIdentity& identity, const std::string& checkpoint) {
  TrainingIdentity stored;
  ResumedState resumed;
  try {
    stored = {state.at("config_hash").get<std::string>(), state.at("data_hash").get<std::string>(),
              state.at("rows_hash").get<std::string>(), state.at("seed").get<std::uint32_t>(),
              state.at("num_steps").get<std::int64_t>()};
    resumed.progress = {state.at("step").get<std::int64_t>(),
                        state.at("cursor").get<std::int64_t>(),
                        state.at("evaluated_step").get<std::int64_t>(),
                        state.at("best_step").get<std::int64_t>(),
                        scores_from_json(state.at("best_scores")),
                        scores_from_json(state.at("last_scores")),
                        early_stopping_from(state.at("early_stopping")),
                        plateau_from(state.at("plateau")),
                        state.at("stopped_early").get<bool>(),
                        state.value("seconds", 0.0)};
    resumed.num_updates = state.at("num_updates").get<std::int64_t>();
    resumed.parts = state.at("parts").get<int>();
    resumed.data_ranks = state.at("data_ranks").get<int>();
  } catch (const json::exception& error) {
    throw CheckpointError(checkpoint + ": its state cannot be used: " + error.what());
  }
  if (stored == identity) return resumed;
  std::string what = "a part of the training set-up";
  if (stored.config_hash != identity.config_hash) what = "the data and training settings";
  if (stored.rows_hash != identity.rows_hash) what = "the training or validation rows";
  if (stored.data_hash != identity.data_hash) what = "the training data";
  throw ConfigError(checkpoint + ": was made with other inputs (" + what +
                    " changed); restore them to continue, or start in another directory with --run");
}

}  // namespace meshfold::jobs
