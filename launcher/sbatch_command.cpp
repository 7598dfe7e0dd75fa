#include "launcher/sbatch_command.hpp"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "base/durable_file.hpp"
#include "launcher/commands.hpp"
#include "launcher/read_config.hpp"

namespace meshfold::launcher {
namespace {

namespace fs = std::filesystem;

constexpr const char* kUsage = "usage: meshfold sbatch COMMAND [options] [--dry-run] -- [Slurm's options]";
constexpr int kAnyRanks = 1 << 20;  // how many Slurm will give is not known before it gives them

void fill(std::string& text, const std::string& name, const std::string& value) {
  const std::string mark = "{{" + name + "}}";
  for (std::size_t i = 0; (i = text.find(mark, i)) != std::string::npos; i += value.size()) {
    text.replace(i, mark.size(), value);
  }
}

fs::path script_of(const CommandLine& line) { return fs::path(line.run_directory) / "batch.sh"; }

/// The command to run, which mpirun starts.
jobs::CommandName inner_command(const CommandLine& line) {
  const Command* command = line.words.empty() ? nullptr : find_command(line.words.front());
  if (command == nullptr || !command->takes_ranks()) throw jobs::ConfigError(kUsage);
  return std::get<Command::OnRanks>(command->run).name;
}

std::string directives_of(const CommandLine& line) {
  std::string text;
  for (std::size_t i = 1; i < line.words.size(); ++i) {
    const auto& word = line.words[i];
    if (!word.starts_with("-") || word.find('\n') != std::string::npos) {
      throw jobs::ConfigError("'" + word + "': Slurm's options stand behind -- and have the form --nodes=2; " + kUsage);
    }
    text += (text.empty() ? "" : "\n") + ("#SBATCH " + word);
  }
  return text;
}

std::string command_of(const CommandLine& line, const std::string& program) {
  std::string text = "mpirun --bind-to none ";
  if (::geteuid() == 0) text += "--allow-run-as-root ";
  text += shell_quoted(program) + " " + line.words.front();
  if (!line.config_file.empty()) text += " --config " + shell_quoted(line.config_file);
  text += " --run " + shell_quoted(line.run_directory);
  for (const auto& [key, value] : line.sets) text += " \\\n  --set " + shell_quoted(key + "=" + value);
  return text;
}

void submit(const std::string& script) {
  std::string program = "sbatch", argument = script;
  char* const words[] = {program.data(), argument.data(), nullptr};
  pid_t child = 0;
  const int error = posix_spawnp(&child, "sbatch", nullptr, nullptr, words, environ);
  if (error != 0) {
    throw jobs::ConfigError("cannot start sbatch: " + std::string(std::strerror(error)) +
                            "; on a machine with Slurm submit " + script);
  }
  int status = 0;
  if (::waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    throw jobs::ConfigError("sbatch did not take " + script + "; its own words are above");
  }
}

}  // namespace

std::string shell_quoted(const std::string& text) {
  const auto is_plain = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || std::strchr("_./=,:@%+-", c);
  };
  bool plain = !text.empty();
  for (const char c : text) plain = plain && c != '\0' && is_plain(c);
  if (plain) return text;
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::string batch_script(const CommandLine& line, const std::string& program) {
  inner_command(line);
  std::string text = kBatchTemplate;
  fill(text, "name", shell_quoted(fs::absolute(line.run_directory).lexically_normal().filename().string()));
  fill(text, "log", shell_quoted((fs::path(line.run_directory) / "slurm-%j.log").string()));
  fill(text, "script", shell_quoted(script_of(line).string()));
  fill(text, "directives", directives_of(line));
  fill(text, "command", command_of(line, program));
  return text;
}

jobs::ExitCode run_sbatch_command(const CommandLine& line, jobs::Console& console) {
  // For its faults: now rather than after hours in the queue.
  read_config(line, {inner_command(line), kAnyRanks});
  const auto script = script_of(line);
  const auto text = batch_script(line, fs::read_symlink("/proc/self/exe").string());
  fs::create_directories(script.parent_path());
  base::replace_file(script, text);
  console.say("written: " + script.string());
  if (!line.dry_run) submit(script.string());
  return jobs::ExitCode::kDone;
}

}  // namespace meshfold::launcher
