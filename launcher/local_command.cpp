#include "launcher/local_command.hpp"

#include <cstdio>
#include <cstdlib>
#include <string>

#include "jobs/config/options.hpp"
#include "jobs/console.hpp"
#include "jobs/report/run_status.hpp"
#include "launcher/checkpoint_command.hpp"
#include "launcher/completion.hpp"
#include "launcher/plan_command.hpp"
#include "launcher/report_command.hpp"
#include "launcher/sbatch_command.hpp"

namespace meshfold::launcher {
namespace {

using jobs::ExitCode;

/// Open MPI's, PMIx's and Slurm's number of this process in its job; without any of them it is alone.
bool is_first_process() {
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID"}) {
    if (const char* rank = std::getenv(name)) return std::string(rank) == "0";
  }
  return true;
}

void print(const std::string& text) { std::fputs(text.c_str(), stdout); }

ExitCode run_status(const CommandLine& line, jobs::Console& console) {
  if (line.words.size() != 1) throw jobs::ConfigError("usage: meshfold status DIR [--format text|json]");
  const auto status = jobs::status_of(line.words.front(), std::chrono::system_clock::now());
  if (line.format == "json") {
    print(jobs::status_as_json(status) + "\n");
  } else {
    jobs::print_status(status, console);
  }
  return ExitCode::kDone;
}

ExitCode run_completion(const CommandLine& line) {
  if (line.words != std::vector<std::string>{"bash"}) throw jobs::ConfigError("usage: meshfold completion bash");
  print(bash_completion());
  return ExitCode::kDone;
}

ExitCode run(const CommandLine& line) {
  jobs::Console console(0, stdout, jobs::Console::Style::kPlain);
  if (line.command->name == "checkpoint") return run_checkpoint_command(line.words, console);
  if (line.command->name == "status") return run_status(line, console);
  if (line.command->name == "plan") return run_plan_command(line, console);
  if (line.command->name == "report") return run_report_command(line, console);
  if (line.command->name == "sbatch") return run_sbatch_command(line, console);
  if (line.command->name == "completion") return run_completion(line);
  print(jobs::options_as_markdown());
  return ExitCode::kDone;
}

std::string help(const CommandLine& line) {
  if (line.command == nullptr) return general_help();
  return usage_of(*line.command) + jobs::help_of_command(line.command->name);
}

}  // namespace

std::optional<ExitCode> run_local_command(int argc, const char* const* argv) {
  CommandLine line;
  try {
    line = parse_command_line(argc, argv);
  } catch (const jobs::ConfigError&) {
    return std::nullopt;  // said once, by the ranks together
  }
  const bool only_prints = line.version || line.help || line.command == nullptr;
  if (!only_prints && line.command->processes != Command::Processes::kNoMpi) return std::nullopt;
  if (!is_first_process()) return ExitCode::kDone;
  try {
    if (!only_prints) return run(line);
    print(line.version ? "meshfold " MESHFOLD_VERSION "\n" : help(line));
    return ExitCode::kDone;
  } catch (const std::exception& error) {
    std::fflush(stdout);
    std::fprintf(stderr, "meshfold: %s\n", error.what());
    return jobs::exit_code_of(error);
  }
}

}  // namespace meshfold::launcher
