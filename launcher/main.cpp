#include <unistd.h>

#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <variant>

#include "base/duration.hpp"
#include "dist/agreement.hpp"
#include "dist/communicator.hpp"
#include "dist/environment.hpp"
#include "dist/gpu/built_in_gpu.hpp"
#include "dist/heartbeat.hpp"
#include "dist/mpi_process_group.hpp"
#include "dist/stop_signal.hpp"
#include "dist/watchdog.hpp"
#include "jobs/config/commands.hpp"
#include "jobs/config/config_draft.hpp"
#include "jobs/config/run_directory.hpp"
#include "jobs/console.hpp"
#include "jobs/error.hpp"
#include "jobs/process_memory.hpp"
#include "jobs/report/run_state.hpp"
#include "jobs/results/export_job.hpp"
#include "jobs/run/device.hpp"
#include "jobs/run_environment.hpp"
#include "launcher/command_line.hpp"
#include "launcher/commands.hpp"
#include "launcher/farewell.hpp"
#include "launcher/local_command.hpp"
#include "launcher/read_config.hpp"
#include "models/gradients/tensor_memory.hpp"

namespace {

using namespace meshfold;
using jobs::CommandName;
using jobs::ExitCode;
using launcher::Command;

constexpr auto kStartDeadline = std::chrono::minutes(2);  // until the config says run.deadline_s

/// Local commands, help and version do not come here.
const Command::OnRanks& command_of(const launcher::CommandLine& line, const dist::Environment& mpi) {
  const auto& command = std::get<Command::OnRanks>(line.command->run);
  if (command.number == Command::OnRanks::Number::kOne && mpi.size() > 1) {
    throw jobs::ConfigError(line.command->name + " is one process; start it without mpirun");
  }
  return command;
}

/// Rank 0 reads the config, since only it is sure to see the files and one CPU must decide what `auto` means; the
/// others take its text.
jobs::RunConfig shared_config(const launcher::CommandLine& line, CommandName command, const dist::Environment& mpi,
                              dist::ProcessGroup& world) {
  std::string text;
  dist::agree(world, "read the config", [&] {
    if (mpi.rank() == 0) text = jobs::to_text(launcher::read_config(line, {command, mpi.size()}));
  });
  return jobs::from_text(world.broadcast_bytes(text, 0));
}

/// Only what trains owns a run directory; the others may write into one without changing what it is. Returns the hash
/// by which the run's checkpoints and results are known.
std::string open_run(const launcher::CommandLine& line, CommandName command, const jobs::RunConfig& config,
                     const dist::Environment& mpi, dist::ProcessGroup& world, jobs::Console& console) {
  std::string hash = config.hash;
  if (!jobs::kRecordingCommands.contains(command)) return hash;
  dist::agree(world, "open the run directory", [&] {
    if (mpi.rank() == 0 && jobs::kTrainingCommands.contains(command)) {
      hash = jobs::open_run_directory(config, line.accepted_changes);
    }
  });
  dist::agree(world, "open the log", [&] {
    console.open_log(config.run.directory);
    console.log(line.command->name + ": rank " + std::to_string(mpi.rank()) + " of " + std::to_string(mpi.size()) +
                " on " + mpi.host_name() + ", process " + std::to_string(::getpid()));
  });
  return world.broadcast_bytes(hash, 0);
}

dist::HeartbeatConfig heartbeat_config(const jobs::RunConfig& config, const dist::Environment& mpi,
                                       dist::ProcessGroup& world) {
  dist::HeartbeatConfig heartbeat;
  heartbeat.rank = mpi.rank();
  heartbeat.size = mpi.size();
  heartbeat.host_name = mpi.host_name();
  heartbeat.timeout = base::milliseconds_of(config.run.heartbeat_s);
  heartbeat.exchange = [&world](const std::string& text) { return world.all_gather_bytes(text); };
  heartbeat.stop_requested = dist::stop_signal_received;
  return heartbeat;
}

/// What `meshfold status` tells of this start of a training. Rank 0 alone writes it.
class StateOfRun {
 public:
  explicit StateOfRun(const dist::Environment& mpi) : mpi_(mpi) {}

  void begin(CommandName command, const std::string& run) {
    if (mpi_.rank() != 0 || !jobs::kTrainingCommands.contains(command)) return;
    jobs::begin_run(run, std::string(jobs::word_of(command)), mpi_.host_name(), mpi_.size());
    run_ = run;
  }
  /// Says nothing about a disk that is full: the run has its own words for that.
  void end(ExitCode code, const std::string& message) noexcept {
    if (run_.empty()) return;
    try {
      jobs::end_run(run_, static_cast<int>(code), message);
    } catch (const std::exception&) {
    }
  }

 private:
  const dist::Environment& mpi_;
  std::string run_;  ///< empty: not begun here
};

/// Null: on the CPU, as every command that has no mesh.
std::unique_ptr<dist::GroupMaker> choose_groups(CommandName command, const jobs::RunConfig& config,
                                                dist::BuiltInGpu* gpu, const dist::Environment& mpi,
                                                dist::ProcessGroup& world) {
  if (!jobs::kMeshCommands.contains(command)) return nullptr;
  if (gpu == nullptr) return jobs::choose_device(config.run.device, nullptr, world, mpi);
  const dist::GpuLibraries libraries = gpu->libraries();
  return jobs::choose_device(config.run.device, &libraries, world, mpi);
}

ExitCode run(int argc, char** argv, dist::Environment& mpi, jobs::Console& console, StateOfRun& state) {
  const auto line = launcher::parse_command_line(argc, argv);  // every rank has the same words
  const Command::OnRanks& command = command_of(line, mpi);
  const auto world = dist::make_mpi_process_group(mpi.world(), "world");
  jobs::RunConfig config = shared_config(line, command.name, mpi, *world);
  mpi.set_deadline(base::milliseconds_of(config.run.deadline_s));
  config.hash = open_run(line, command.name, config, mpi, *world, console);
  dist::agree(*world, "note the start of the run", [&] { state.begin(command.name, config.run.directory); });

  dist::Watchdog watchdog(mpi.rank());
  const dist::StopSignals signals;
  const dist::Heartbeat heartbeat(heartbeat_config(config, mpi, *world));
  if (!heartbeat.why_off().empty()) console.log("no heartbeat between the ranks: " + heartbeat.why_off());
  const auto stop_requested = [&] { return dist::stop_signal_received() || heartbeat.stop_seen(); };
  const auto gpu = dist::built_in_gpu();
  const auto groups = choose_groups(command.name, config, gpu.get(), mpi, *world);
  jobs::RunEnvironment environment{mpi, watchdog, console, stop_requested, groups ? *groups : dist::host_groups()};
  const ExitCode code = command.run(line, config, environment);
  state.end(code, "");
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  jobs::keep_freed_memory();
  models::count_tensor_memory();
  dist::set_exit_code_table([](const std::exception& error) { return static_cast<int>(jobs::exit_code_of(error)); });
  if (const auto done = launcher::run_local_command(argc, argv)) return static_cast<int>(*done);
  int code = static_cast<int>(ExitCode::kInternal), rank = 0;
  try {
    dist::Environment mpi(argc, argv, kStartDeadline);
    rank = mpi.rank();
    jobs::Console console(rank);
    launcher::Farewell farewell(mpi);
    StateOfRun state(mpi);
    try {
      code = static_cast<int>(run(argc, argv, mpi, console, state));
    } catch (const std::exception& error) {
      state.end(jobs::exit_code_of(error), error.what());  // first: conclude() may end this process
      code = farewell.conclude(error, console);
    }
  } catch (const std::exception& error) {  // MPI itself could not start or end
    std::fprintf(stderr, "meshfold: %s\n", error.what());
    return static_cast<int>(jobs::exit_code_of(error));
  }
  // All ranks came this far together; mpirun would kill the rest at the first code that is not 0, so one rank tells it.
  return rank == 0 ? code : 0;
}
