#include "jobs/config/run_directory.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <string_view>

#include "base/checksum.hpp"
#include "base/durable_file.hpp"
#include "base/text.hpp"
#include "jobs/config/options.hpp"
#include "jobs/error.hpp"
#include "jobs/utc_time.hpp"

namespace meshfold::jobs {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr int kFormatVersion = 1;

bool needs_quotes(const std::string& value) {
  if (value.empty()) return false;
  const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  if (is_blank(value.front()) || is_blank(value.back()) || value.front() == '"') return true;
  for (std::size_t i = 0; i < value.size(); ++i) {
    if ((value[i] == '#' || value[i] == ';') && (i == 0 || is_blank(value[i - 1]))) return true;
  }
  return false;
}

std::string quoted(const std::string& value) {
  std::string text = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  return text + "\"";
}

std::string new_run_id() {
  std::random_device entropy;
  return base::format("%08x%08x", entropy(), entropy());
}

Json fixed_options(const RunConfig& config) {
  Json fixed = Json::object();
  for (const Option& option : option_table()) {
    if (option.is_fixed()) fixed[option.key] = option.text(config);
  }
  return fixed;
}

/// What a run that knew only the options `kept` was started with: the others had their defaults.
Json completed(Json kept) {
  for (const Option& option : option_table()) {
    if (option.is_fixed() && !kept.contains(option.key)) kept[option.key] = option.default_text();
  }
  return kept;
}

std::string shown(const Json& options, const std::string& key) {
  const auto found = options.find(key);
  return found == options.end() ? "nothing" : found->dump();
}

struct Difference {
  std::string key, before, now;  ///< values as JSON; "nothing" where there is none
};

std::vector<Difference> differences(const Json& before, const Json& now) {
  std::vector<Difference> found;
  for (const auto& [key, value] : now.items()) {
    if (!before.contains(key) || before[key] != value) found.push_back({key, shown(before, key), shown(now, key)});
  }
  for (const auto& [key, value] : before.items()) {
    if (!now.contains(key)) found.push_back({key, shown(before, key), shown(now, key)});
  }
  return found;
}

/// The changes as run.json keeps them; ConfigError with all that are not accepted.
Json accepted_changes(const std::vector<Difference>& changes, const std::vector<std::string>& accepted,
                      const fs::path& run) {
  Json notes = Json::array();
  std::vector<std::string> faults;
  for (const Difference& change : changes) {
    if (std::ranges::find(accepted, change.key) != accepted.end()) {
      notes.push_back({{"time", utc_now()}, {"key", change.key}, {"before", change.before}, {"now", change.now}});
    } else {
      faults.push_back(change.key + ": " + run.string() + " was started with " + change.before + ", now it is " +
                       change.now + "; set it back, take another --run directory, or continue with --accept-changes " +
                       change.key);
    }
  }
  if (!faults.empty()) throw ConfigError(faults);
  return notes;
}

/// An earlier start got beyond its preparation: there is more than what each start writes before the first step.
bool has_begun(const fs::path& run) {
  constexpr std::array<std::string_view, 5> kPreparation = {"config.ini", "run.json", "state.json", "logs", "data"};
  return std::ranges::any_of(fs::directory_iterator(run), [&](const fs::directory_entry& entry) {
    return std::ranges::find(kPreparation, entry.path().filename().string()) == kPreparation.end();
  });
}

/// run.json of an earlier start, checked for its format.
Json read_run_json(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  const Json run = Json::parse(in, nullptr, /*allow_exceptions=*/false);
  const bool is_whole = run.is_object() && run.contains("format") && run.contains("id") &&
                        run.contains("config_hash") && run.contains("options") && run["options"].is_object();
  if (!is_whole) throw ConfigError(file.string() + ": is not a run.json of meshfold; take another --run directory");
  if (run["format"] != kFormatVersion) {
    throw ConfigError(file.string() + ": has format " + run["format"].dump() + ", this program writes format " +
                      std::to_string(kFormatVersion) + "; take another --run directory");
  }
  return run;
}

}  // namespace

std::string open_run_directory(const RunConfig& config, const std::vector<std::string>& accepted) {
  const fs::path run = config.run.directory;
  std::error_code error;
  fs::create_directories(run, error);
  if (error) {
    throw StorageError(run.string() + ": cannot make the run directory: " + error.message() +
                       "; check free space, quota and permissions, or take another --run directory");
  }
  const fs::path file = run / "run.json";
  const Json fixed = fixed_options(config);
  Json now = {{"format", kFormatVersion}, {"id", new_run_id()}, {"config_hash", config_hash(config)}};
  Json notes = Json::array();
  if (fs::exists(file)) {
    const Json before = read_run_json(file);
    now["id"] = before["id"];
    if (has_begun(run)) {
      notes = before.value("accepted_changes", Json::array());
      const std::vector<Difference> changes = differences(completed(before["options"]), fixed);
      for (const Json& note : accepted_changes(changes, accepted, run)) notes.push_back(note);
      now["config_hash"] = before["config_hash"];
    }
  }
  now["options"] = fixed;
  if (!notes.empty()) now["accepted_changes"] = notes;
  // config.ini first: a directory with run.json always has both.
  base::replace_file(run / "config.ini", to_ini(config));
  base::replace_file(file, now.dump(2) + "\n");
  return now["config_hash"].get<std::string>();
}

std::string config_hash(const RunConfig& config) {
  return base::xxh3_128_hex(fixed_options(config).dump(-1, ' ', false, Json::error_handler_t::replace));
}

std::string to_ini(const RunConfig& config) {
  std::string text, section;
  for (const Option& option : option_table()) {
    const std::string value = option.text(config);
    const std::size_t dot = option.key.find('.');
    if (option.key.substr(0, dot) != section) {
      section = option.key.substr(0, dot);
      text += (text.empty() ? "[" : "\n[") + section + "]\n";
    }
    text += option.key.substr(dot + 1) + " =" + (value.empty() ? "" : " ") +
            (needs_quotes(value) ? quoted(value) : value) + "\n";
  }
  return text;
}

}  // namespace meshfold::jobs
