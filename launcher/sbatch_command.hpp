#pragma once

#include <string>
#include <vector>

#include "jobs/console.hpp"
#include "jobs/error.hpp"
#include "launcher/command_line.hpp"

namespace meshfold::launcher {

/// slurm/batch.sh.in, built into the program.
extern const char* const kBatchTemplate;

/// The batch script of `line` (its first word is the command to run, the others are Slurm's options), which calls
/// `program`. Throws ConfigError for other words.
std::string batch_script(const CommandLine& line, const std::string& program);

/// `text` as one word of a shell command.
std::string shell_quoted(const std::string& text);

/// Checks the config as the command itself would, writes `<run>/batch.sh` and submits it, unless --dry-run. One
/// process.
jobs::ExitCode run_sbatch_command(const CommandLine& line, jobs::Console& console);

}  // namespace meshfold::launcher
