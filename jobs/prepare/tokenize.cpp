#include "jobs/prepare/tokenize.hpp"

#include "jobs/placement.hpp"
#include "jobs/prepare/dataset_cache.hpp"

namespace meshfold::jobs {

ExitCode run_tokenize(const RunConfig& config, RunEnvironment& environment) {
  set_threads(config.run.threads, environment);
  const auto tokenize = [&](const std::string& table, TableRole role) {
    if (table.empty()) return;
    const auto prepared = prepare_dataset(config, table, role, environment);
    environment.console.say(describe(prepared, table));
    environment.console.say("  " + prepared.file.string());
  };
  tokenize(config.data.train, TableRole::kTrain);
  tokenize(config.data.test, TableRole::kTest);
  return ExitCode::kDone;
}

}  // namespace meshfold::jobs
