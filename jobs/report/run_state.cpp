#include "jobs/report/run_state.hpp"

#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/durable_file.hpp"
#include "jobs/utc_time.hpp"

namespace meshfold::jobs {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

constexpr const char* kFile = "state.json";
constexpr int kFormatVersion = 1;

}  // namespace

void write_state(const fs::path& run, const RunState& state) {
  Json json = {{"format", kFormatVersion}, {"command", state.command}, {"host", state.host},
               {"process", state.process}, {"ranks", state.ranks},     {"started", state.started},
               {"ended", state.ended},     {"exit_code", nullptr},     {"message", state.message},
               {"groups", state.groups}};
  if (!state.ended.empty()) json["exit_code"] = state.exit_code;
  base::replace_file(run / kFile, json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

std::optional<RunState> read_state(const fs::path& run) {
  std::ifstream in(run / kFile, std::ios::binary);
  const Json json = Json::parse(in, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || json.value("format", Json()) != kFormatVersion) return std::nullopt;
  try {
    RunState state;
    state.command = json.at("command");
    state.host = json.at("host");
    state.process = json.at("process");
    state.ranks = json.at("ranks");
    state.started = json.at("started");
    state.ended = json.at("ended");
    if (json.at("exit_code").is_number_integer()) state.exit_code = json.at("exit_code");
    state.message = json.at("message");
    state.groups = json.at("groups").get<std::vector<std::vector<std::string>>>();
    return state;
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

void begin_run(const fs::path& run, const std::string& command, const std::string& host, int ranks) {
  RunState state;
  state.command = command;
  state.host = host;
  state.process = static_cast<int>(::getpid());
  state.ranks = ranks;
  state.started = utc_now();
  write_state(run, state);
}

void note_groups(const fs::path& run, std::vector<std::vector<std::string>> groups) {
  auto state = read_state(run).value_or(RunState{});
  state.groups = std::move(groups);
  write_state(run, state);
}

void end_run(const fs::path& run, int exit_code, const std::string& message) {
  auto state = read_state(run).value_or(RunState{});
  state.ended = utc_now();
  state.exit_code = exit_code;
  state.message = message;
  write_state(run, state);
}

void touch_state(const fs::path& run) {
  std::error_code ignored;
  fs::last_write_time(run / kFile, fs::file_time_type::clock::now(), ignored);
}

}  // namespace meshfold::jobs
