#include "launcher/read_config.hpp"

#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <stdexcept>

#include "jobs/config/debug_settings.hpp"
#include "jobs/config/ini_file.hpp"
#include "jobs/config/options.hpp"
#include "jobs/config/validate.hpp"
#include "jobs/error.hpp"

namespace meshfold::launcher {
namespace {

namespace fs = std::filesystem;

/// Sets one option; an unknown key or a bad value is noted as a fault.
void apply(const jobs::IniEntry& entry, jobs::RunConfig& config, jobs::Origins& origins,
           std::vector<std::string>& faults) {
  const jobs::Option* option = jobs::find_option(entry.key);
  if (option == nullptr) {
    faults.push_back(entry.place + ": unknown key '" + entry.key + "'" + jobs::suggest_option(entry.key));
    return;
  }
  origins[entry.key] = entry.place;
  try {
    option->set(config, entry.value);
  } catch (const std::invalid_argument& expected) {
    faults.push_back(entry.place + ": " + entry.key + " = '" + entry.value + "': expects " + expected.what());
  }
}

std::optional<std::string> contents_of(const fs::path& file) {
  std::error_code ignored;
  if (fs::is_directory(file, ignored)) return std::nullopt;
  std::ifstream in(file, std::ios::binary);
  if (!in) return std::nullopt;
  std::ostringstream contents;
  contents << in.rdbuf();
  return contents.str();
}

void apply_file(const fs::path& file, jobs::RunConfig& config, jobs::Origins& origins,
                std::vector<std::string>& faults) {
  const auto contents = contents_of(file);
  if (!contents) {
    faults.push_back("--config " + file.string() + ": cannot be read; name an INI file");
    return;
  }
  std::map<std::string, std::string> first_place;
  for (const jobs::IniEntry& entry : jobs::parse_ini(*contents, file.string(), faults)) {
    const auto [seen, is_new] = first_place.emplace(entry.key, entry.place);
    if (is_new) {
      apply(entry, config, origins, faults);
    } else {
      faults.push_back(entry.place + ": " + entry.key + " was already set at " + seen->second + "; remove one");
    }
  }
}

/// Defaults that follow from other options.
void fill_dependent_defaults(jobs::RunConfig& config, const jobs::Origins& origins) {
  config.cv.metric.name = config.cv.metric.name_for(config.model.task);
  if (config.model.task == models::Task::kRegression) return;
  if (!origins.contains("loss.kind")) {
    config.loss.kind = config.model.task == models::Task::kClassification ? models::LossKind::kCrossEntropy
                                                                          : models::LossKind::kBinaryCrossEntropy;
  }
  if (!origins.contains("predict.output")) config.predict.output = jobs::PredictOutput::kProbability;
}

void seal(jobs::RunConfig& config) {
  const auto options = jobs::resolved_options(config);
  config.hash = jobs::config_hash(options);
  config.ini_text = jobs::to_ini(options);
}

}  // namespace

jobs::RunConfig read_config(const CommandLine& line, int num_ranks, RunDirectory directory) {
  jobs::RunConfig config;
  jobs::Origins origins;
  std::vector<std::string> faults;
  config.run.directory = line.run_directory;
  const fs::path kept = fs::path(line.run_directory) / "config.ini";
  if (!line.config_file.empty()) {
    apply_file(line.config_file, config, origins, faults);
  } else if (!line.run_directory.empty() && fs::exists(kept)) {
    apply_file(kept, config, origins, faults);
  }
  for (const auto& [key, value] : line.sets) apply({key, value, "--set"}, config, origins, faults);
  if (line.debug) {
    for (const auto& [key, value] : jobs::debug_settings(config)) {
      const auto origin = origins.find(key);
      if (origin == origins.end() || origin->second != "--set") apply({key, value, "--debug"}, config, origins, faults);
    }
  }
  for (const std::string& key : line.accepted_changes) {
    if (jobs::find_option(key) == nullptr) {
      faults.push_back("--accept-changes: unknown key '" + key + "'" + jobs::suggest_option(key));
    }
  }
  fill_dependent_defaults(config, origins);
  if (directory == RunDirectory::kNeeded && config.run.directory.empty() && line.command->name != "selftest") {
    faults.emplace_back("--run DIR is not given; name the directory to write to");
  }
  jobs::validate(line.command->name, config, num_ranks, origins, faults);
  if (!faults.empty()) throw jobs::ConfigError(faults);
  seal(config);
  return config;
}

std::vector<std::string> given_keys(const CommandLine& line) {
  std::vector<std::string> keys, ignored;
  for (const auto& [key, value] : line.sets) keys.push_back(key);
  const auto contents = line.config_file.empty() ? std::nullopt : contents_of(line.config_file);
  if (!contents) return keys;
  for (const jobs::IniEntry& entry : jobs::parse_ini(*contents, line.config_file, ignored)) keys.push_back(entry.key);
  return keys;
}

std::string to_text(const jobs::RunConfig& config) { return config.run.directory + "\n" + config.ini_text; }

jobs::RunConfig from_text(const std::string& text) {
  jobs::RunConfig config;
  jobs::Origins origins;
  std::vector<std::string> faults;
  const std::size_t end = text.find('\n');
  config.run.directory = text.substr(0, end);
  for (const jobs::IniEntry& entry :
       jobs::parse_ini(std::string_view(text).substr(end + 1), "the first rank's config", faults)) {
    apply(entry, config, origins, faults);
  }
  if (!faults.empty()) throw jobs::ConfigError(faults);
  seal(config);
  return config;
}

}  // namespace meshfold::launcher
