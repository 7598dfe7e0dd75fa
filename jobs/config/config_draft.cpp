#include "jobs/config/config_draft.hpp"

#include <map>
#include <stdexcept>
#include <utility>

#include "jobs/config/ini_file.hpp"
#include "jobs/config/options.hpp"
#include "jobs/config/run_directory.hpp"
#include "jobs/error.hpp"

namespace meshfold::jobs {

ConfigDraft::ConfigDraft(std::string run_directory) { config_.run.directory = std::move(run_directory); }

ConfigDraft::ConfigDraft(const RunConfig& finished) : config_(finished), all_given_(true) {}

void ConfigDraft::set(const Setting& setting) {
  const Option* option = find_option(setting.key);
  if (option == nullptr) {
    add_fault(setting.place + ": unknown key '" + setting.key + "'" + suggest_option(setting.key));
    return;
  }
  places_[setting.key] = setting.place;
  try {
    option->set(config_, setting.value);
  } catch (const std::invalid_argument& expected) {
    add_fault(setting.place + ": " + setting.key + " = '" + setting.value + "': expects " + expected.what());
  }
}

void ConfigDraft::set_from_file(const std::filesystem::path& file) {
  std::map<std::string, std::string> first_place;
  for (const Setting& setting : read_ini_file(file, faults_)) {
    const auto [seen, is_new] = first_place.emplace(setting.key, setting.place);
    if (is_new) {
      set(setting);
    } else {
      add_fault(setting.place + ": " + setting.key + " was already set at " + seen->second + "; remove one");
    }
  }
}

std::string ConfigDraft::place_of(const std::string& key) const {
  const auto place = places_.find(key);
  return place == places_.end() ? std::string() : place->second;
}

void ConfigDraft::fill_dependent_defaults() {
  config_.cv.metric.name = config_.cv.metric.name_for(config_.model.task);
  if (config_.model.task == models::Task::kRegression) return;
  if (!is_given("loss.kind")) {
    config_.loss.kind = config_.model.task == models::Task::kClassification ? models::LossKind::kCrossEntropy
                                                                            : models::LossKind::kBinaryCrossEntropy;
  }
  if (!is_given("predict.output")) config_.predict.output = PredictOutput::kProbability;
}

RunConfig ConfigDraft::finish(const ConfigUse& use) && {
  fill_dependent_defaults();
  validate(config_, use, places_, faults_);
  return std::move(*this).finish_as_it_is();
}

RunConfig ConfigDraft::finish_as_it_is() && {
  if (!faults_.empty()) throw ConfigError(faults_);
  config_.hash = config_hash(config_);
  config_.ini_text = to_ini(config_);
  return std::move(config_);
}

RunConfig with_settings(const RunConfig& config, const std::vector<Setting>& settings, const ConfigUse& use) {
  ConfigDraft draft(config);
  for (const Setting& setting : settings) draft.set(setting);
  return std::move(draft).finish(use);
}

std::string to_text(const RunConfig& config) { return config.run.directory + "\n" + config.ini_text; }

RunConfig from_text(const std::string& text) {
  const std::size_t end = text.find('\n');
  ConfigDraft draft(text.substr(0, end));
  std::vector<std::string> faults;
  for (const Setting& setting : parse_ini(std::string_view(text).substr(end + 1), "the first rank's config", faults)) {
    draft.set(setting);
  }
  for (std::string& fault : faults) draft.add_fault(std::move(fault));
  return std::move(draft).finish_as_it_is();
}

}  // namespace meshfold::jobs
