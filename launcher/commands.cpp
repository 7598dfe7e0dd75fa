#include "launcher/commands.hpp"

#include <algorithm>
#include <cstdio>

#include "jobs/config/options.hpp"
#include "jobs/cv/cross_validation.hpp"
#include "jobs/predict/predict.hpp"
#include "jobs/prepare/tokenize.hpp"
#include "jobs/prepare/train_tokenizer.hpp"
#include "jobs/results/export_job.hpp"
#include "jobs/run/train_command.hpp"
#include "jobs/selftest/selftest.hpp"
#include "launcher/checkpoint_command.hpp"
#include "launcher/command_line.hpp"
#include "launcher/completion.hpp"
#include "launcher/plan_command.hpp"
#include "launcher/report_command.hpp"
#include "launcher/sbatch_command.hpp"

namespace meshfold::launcher {
namespace {

using jobs::CommandName;
using jobs::ExitCode;

/// What runs by its config alone.
auto by_config(ExitCode (*run)(const jobs::RunConfig&, jobs::RunEnvironment&)) {
  return [run](const CommandLine&, const jobs::RunConfig& config, jobs::RunEnvironment& environment) {
    return run(config, environment);
  };
}

ExitCode run_selftest(const CommandLine& line, const jobs::RunConfig& config, jobs::RunEnvironment& environment) {
  const auto format = line.format == "json" ? jobs::SelftestFormat::kJson : jobs::SelftestFormat::kText;
  return jobs::run_selftest(config, {line.directory, format}, environment);
}

ExitCode run_options_command(const CommandLine&, jobs::Console&) {
  std::fputs(jobs::options_as_markdown().c_str(), stdout);
  return ExitCode::kDone;
}

std::vector<Command> all_commands() {
  using Alone = Command::Alone;
  using OnRanks = Command::OnRanks;
  return {
      {.name = "cv",
       .summary = "train one model a fold, side by side on groups of ranks; out-of-fold and test predictions",
       .flags = {"debug", "accept-changes"},
       .example = "cv --config examples/vader.ini --run runs/vader",
       .run = OnRanks{CommandName::kCv, by_config(jobs::run_cross_validation)}},
      {.name = "train",
       .summary = "train one model on all ranks and all rows",
       .flags = {"debug", "accept-changes"},
       .example = "train --config examples/train.ini --run runs/train",
       .run = OnRanks{CommandName::kTrain, by_config(jobs::run_training)}},
      {.name = "predict",
       .summary = "predict data.test with a finished run or a plain model directory",
       .example = "predict --config examples/predict.ini --run runs/vader",
       .run = OnRanks{CommandName::kPredict, by_config(jobs::run_predict)}},
      {.name = "export",
       .summary = "write a trained model as a Hugging Face directory",
       .example = "export --config examples/export.ini --run runs/vader",
       .run = OnRanks{CommandName::kExport, by_config(jobs::run_export)}},
      {.name = "tokenize",
       .summary = "tokenize data.train and data.test into the cache, and nothing else",
       .example = "tokenize --config examples/tokenize.ini --run runs/tokenize",
       .run = OnRanks{CommandName::kTokenize, by_config(jobs::run_tokenize)}},
      {.name = "train-tokenizer",
       .summary = "train a SentencePiece tokenizer on the text columns of data.train",
       .example = "train-tokenizer --config examples/train_tokenizer.ini --run runs/tokenizer",
       .run = OnRanks{CommandName::kTrainTokenizer, by_config(jobs::run_train_tokenizer), OnRanks::Number::kOne}},
      {.name = "selftest",
       .summary = "try machines, threads, network and storage for a run, and say what is wrong and what to do",
       .flags = {"dir", "format"},
       .example = "selftest --set mesh.tensor=2 --dir runs",
       .run = OnRanks{CommandName::kSelftest, run_selftest}},
      {.name = "plan",
       .arguments = "[cv|train]",
       .summary =
           "what a run would do: mesh, parameters and their shards, memory, steps; without MPI, without starting it",
       .flags = {"ranks", "format", "debug"},
       .example = "plan cv --config examples/vader.ini --ranks 4",
       .run = Alone{run_plan_command, jobs::kTrainingCommands}},
      {.name = "status",
       .arguments = "DIR",
       .summary = "what a run is doing, what is left and how long; from any other terminal",
       .flags = {"format"},
       .example = "status runs/vader",
       .run = Alone{run_status_command}},
      {.name = "report",
       .arguments = "DIR",
       .summary = "write report.html anew from a run's files, also of a run that is going on; --compare: several runs",
       .flags = {"output", "compare"},
       .example = "report runs/vader --output vader.html",
       .run = Alone{run_report_command}},
      {.name = "sbatch",
       .arguments = "COMMAND",
       .summary = "write COMMAND with its options as a Slurm batch script into the run directory and submit it",
       .flags = {"dry-run"},
       .example = "sbatch cv --config examples/vader.ini --run runs/slurm --dry-run",
       .run = Alone{run_sbatch_command}},
      {.name = "checkpoint",
       .arguments = "list|verify DIR",
       .summary = "list or verify the checkpoints below a directory",
       .example = "checkpoint verify runs/vader",
       .run = Alone{run_checkpoint_command}},
      {.name = "options",
       .summary = "print every option as a Markdown page",
       .example = "options",
       .run = Alone{run_options_command}},
      {.name = "completion",
       .arguments = "bash",
       .summary = "print a script that completes meshfold's words in bash: source <(meshfold completion bash)",
       .example = "completion bash",
       .run = Alone{run_completion_command}},
  };
}

}  // namespace

jobs::CommandSet Command::options() const {
  if (const auto* alone = std::get_if<Alone>(&run)) return alone->options;
  return {std::get<OnRanks>(run).name};
}

bool Command::takes_ranks() const {
  const auto* on_ranks = std::get_if<OnRanks>(&run);
  return on_ranks != nullptr && on_ranks->number == OnRanks::Number::kAny;
}

const std::vector<Command>& commands() {
  static const std::vector<Command> all = all_commands();
  return all;
}

const Command* find_command(const std::string& name) {
  const auto found = std::ranges::find(commands(), name, &Command::name);
  return found == commands().end() ? nullptr : &*found;
}

}  // namespace meshfold::launcher
