#include "jobs/config/debug_settings.hpp"

#include <algorithm>

#include "jobs/config/option_value.hpp"

namespace meshfold::jobs {

std::vector<std::pair<std::string, std::string>> debug_settings(const RunConfig& config) {
  constexpr int kRows = 100, kEpochs = 2, kBatch = 16;
  std::vector<std::pair<std::string, std::string>> settings = {
      {"data.sample_rows", std::to_string(kRows)},
      {"training.epochs", std::to_string(kEpochs)},
      {"training.max_steps", "0"},
      {"training.batch_size", std::to_string(std::min(config.training.batch_size, kBatch))},
      {"log.every_steps", "1"}};
  if (config.cv.strategy != FoldStrategy::kColumn) {
    settings.emplace_back("cv.folds", "2");
    if (config.cv.groups > 2) settings.emplace_back("cv.groups", "0");
  }
  if (config.schedule.table.size() > kEpochs) {
    settings.emplace_back("schedule.table",
                          format_number(config.schedule.table[0]) + "," + format_number(config.schedule.table[1]));
  }
  return settings;
}

}  // namespace meshfold::jobs
