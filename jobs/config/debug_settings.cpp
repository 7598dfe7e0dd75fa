#include "jobs/config/debug_settings.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "jobs/config/option_value.hpp"

namespace meshfold::jobs {

std::vector<Setting> debug_settings(const RunConfig& config) {
  constexpr int kRows = 100, kEpochs = 2, kBatch = 16;
  std::vector<Setting> settings;
  const auto set = [&](const char* key, std::string value) { settings.push_back({key, std::move(value), "--debug"}); };
  set("data.sample_rows", std::to_string(kRows));
  set("training.epochs", std::to_string(kEpochs));
  set("training.max_steps", "0");
  set("training.batch_size", std::to_string(std::min(config.training.batch_size, kBatch)));
  set("log.every_steps", "1");
  if (config.cv.strategy != FoldStrategy::kColumn) {
    set("cv.folds", "2");
    if (config.cv.groups > 2) set("cv.groups", "0");
  }
  if (config.schedule.table.size() > kEpochs) {
    set("schedule.table", format_number(config.schedule.table[0]) + "," + format_number(config.schedule.table[1]));
  }
  return settings;
}

}  // namespace meshfold::jobs
