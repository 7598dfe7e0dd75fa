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

constexpr const char* kUsage =
    "usage: meshfold plan [cv|train] [--ranks N] [--format text|json] and that command's options";
constexpr int kMostRanks = 1 << 20;

/// Without a word: cv if an option is given that only cv reads, as cv.folds, else train.
std::string likely_command(const CommandLine& line) {
  const bool splits = std::ranges::any_of(given_keys(line), [](const std::string& key) {
    const jobs::Option* option = jobs::find_option(key);
    return option != nullptr && jobs::belongs_to(*option, "cv") && !jobs::belongs_to(*option, "train");
  });
  return splits ? "cv" : "train";
}

const Command& planned_command(const CommandLine& line) {
  const std::string name = line.words.empty() ? likely_command(line) : line.words.front();
  if (line.words.size() > 1 || (name != "cv" && name != "train")) throw jobs::ConfigError(kUsage);
  return *find_command(name);
}

int given_ranks(const std::string& text) {
  int ranks = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ranks);
  if (error != std::errc() || end != text.data() + text.size() || ranks < 1 || ranks > kMostRanks) {
    throw jobs::ConfigError("--ranks " + text + ": expects a number of ranks from 1 to " + std::to_string(kMostRanks));
  }
  return ranks;
}

}  // namespace

jobs::ExitCode run_plan_command(const CommandLine& line, jobs::Console& console) {
  CommandLine inner = line;
  inner.command = &planned_command(line);
  int ranks = 0;
  if (line.ranks.empty()) {
    const jobs::MeshSection mesh = read_config(inner, kMostRanks, RunDirectory::kOptional).mesh;
    ranks = std::max(mesh.data, 1) * std::max(mesh.pipeline, 1) * std::max(mesh.tensor, 1);
  } else {
    ranks = given_ranks(line.ranks);
  }
  const jobs::RunConfig config = read_config(inner, ranks, RunDirectory::kOptional);
  const jobs::RunPlan plan = jobs::plan_run(inner.command->name, config, ranks, console);
  if (line.format == "json") {
    console.say(jobs::plan_as_json(plan));
  } else {
    jobs::print_plan(plan, console);
  }
  return plan.faults.empty() ? jobs::ExitCode::kDone : jobs::ExitCode::kConfig;
}

}  // namespace meshfold::launcher
