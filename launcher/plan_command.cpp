#include "launcher/plan_command.hpp"

#include <algorithm>
#include <charconv>
#include <string>

#include "jobs/config/options.hpp"
#include "jobs/plan/render_json.hpp"
#include "jobs/plan/render_text.hpp"
#include "jobs/plan/run_plan.hpp"
#include "launcher/read_config.hpp"

namespace meshfold::launcher {
namespace {

using jobs::CommandName;

constexpr const char* kUsage =
    "usage: meshfold plan [cv|train] [--ranks N] [--format text|json] and that command's options";
constexpr int kMostRanks = 1 << 20;

/// Without a word: cv if an option is given that only cv reads, as cv.folds, else train.
CommandName likely_command(const CommandLine& line) {
  const bool splits = std::ranges::any_of(given_keys(line), [](const std::string& key) {
    const jobs::Option* option = jobs::find_option(key);
    return option != nullptr && option->commands.contains(CommandName::kCv) &&
           !option->commands.contains(CommandName::kTrain);
  });
  return splits ? CommandName::kCv : CommandName::kTrain;
}

CommandName planned_command(const CommandLine& line) {
  if (line.words.empty()) return likely_command(line);
  for (const CommandName command : {CommandName::kCv, CommandName::kTrain}) {
    if (line.words.size() == 1 && line.words.front() == jobs::word_of(command)) return command;
  }
  throw jobs::ConfigError(kUsage);
}

int given_ranks(const std::string& text) {
  int ranks = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ranks);
  if (error != std::errc() || end != text.data() + text.size() || ranks < 1 || ranks > kMostRanks) {
    throw jobs::ConfigError("--ranks " + text + ": expects a number of ranks from 1 to " + std::to_string(kMostRanks));
  }
  return ranks;
}

/// --ranks, or the product of the mesh's axes that are given.
int planned_ranks(const CommandLine& line, CommandName command) {
  if (!line.ranks.empty()) return given_ranks(line.ranks);
  const jobs::MeshSection mesh = read_config(line, {command, kMostRanks}, RunDirectory::kOptional).mesh;
  return std::max(mesh.data, 1) * std::max(mesh.pipeline, 1) * std::max(mesh.tensor, 1);
}

}  // namespace

jobs::ExitCode run_plan_command(const CommandLine& line, jobs::Console& console) {
  const CommandName command = planned_command(line);
  const int ranks = planned_ranks(line, command);
  const jobs::RunConfig config = read_config(line, {command, ranks}, RunDirectory::kOptional);
  const jobs::RunPlan plan = jobs::plan_run(command, config, ranks, console);
  if (line.format == "json") {
    console.say(jobs::plan_as_json(plan));
  } else {
    jobs::print_plan(plan, console);
  }
  return plan.faults.empty() ? jobs::ExitCode::kDone : jobs::ExitCode::kConfig;
}

}  // namespace meshfold::launcher
