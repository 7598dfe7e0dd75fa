#include "launcher/local_command.hpp"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <variant>

#include "jobs/config/options.hpp"
#include "jobs/console.hpp"
#include "launcher/command_line.hpp"
#include "launcher/commands.hpp"

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

std::string help(const CommandLine& line) {
  if (line.command == nullptr) return general_help();
  return usage_of(*line.command) + jobs::help_of(line.command->options());
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
  const auto* alone = only_prints ? nullptr : std::get_if<Command::Alone>(&line.command->run);
  if (!only_prints && alone == nullptr) return std::nullopt;
  if (!is_first_process()) return ExitCode::kDone;
  try {
    if (alone != nullptr) {
      jobs::Console console(0, stdout, jobs::Console::Style::kPlain);
      return alone->run(line, console);
    }
    print(line.version ? "meshfold " MESHFOLD_VERSION "\n" : help(line));
    return ExitCode::kDone;
  } catch (const std::exception& error) {
    std::fflush(stdout);
    std::fprintf(stderr, "meshfold: %s\n", error.what());
    return jobs::exit_code_of(error);
  }
}

}  // namespace meshfold::launcher
