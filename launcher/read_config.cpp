#include "launcher/read_config.hpp"

#include <filesystem>
#include <utility>

#include "jobs/config/config_draft.hpp"
#include "jobs/config/debug_settings.hpp"
#include "jobs/config/ini_file.hpp"
#include "jobs/config/options.hpp"

namespace meshfold::launcher {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSet = "--set";

void set_from_file(const CommandLine& line, jobs::ConfigDraft& draft) {
  const fs::path kept = fs::path(line.run_directory) / "config.ini";
  if (!line.config_file.empty()) {
    draft.set_from_file(line.config_file);
  } else if (!line.run_directory.empty() && fs::exists(kept)) {
    draft.set_from_file(kept);
  }
}

void check_accepted_changes(const CommandLine& line, jobs::ConfigDraft& draft) {
  for (const std::string& key : line.accepted_changes) {
    if (jobs::find_option(key) == nullptr) {
      draft.add_fault("--accept-changes: unknown key '" + key + "'" + jobs::suggest_option(key));
    }
  }
}

}  // namespace

jobs::RunConfig read_config(const CommandLine& line, const jobs::ConfigUse& use, RunDirectory directory) {
  jobs::ConfigDraft draft(line.run_directory);
  set_from_file(line, draft);
  for (const auto& [key, value] : line.sets) draft.set({key, value, kSet});
  if (line.debug) {
    for (const jobs::Setting& setting : jobs::debug_settings(draft.config())) {
      if (draft.place_of(setting.key) != kSet) draft.set(setting);
    }
  }
  check_accepted_changes(line, draft);
  if (directory == RunDirectory::kNeeded && line.run_directory.empty() &&
      jobs::kRecordingCommands.contains(use.command)) {
    draft.add_fault("--run DIR is not given; name the directory to write to");
  }
  return std::move(draft).finish(use);
}

std::vector<std::string> given_keys(const CommandLine& line) {
  std::vector<std::string> keys, ignored;
  for (const auto& [key, value] : line.sets) keys.push_back(key);
  if (line.config_file.empty()) return keys;
  for (const jobs::Setting& setting : jobs::read_ini_file(line.config_file, ignored)) keys.push_back(setting.key);
  return keys;
}

}  // namespace meshfold::launcher
