#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace meshfold::jobs {

/// Who works on a run since when, and how it ended: `<run>/state.json` (docs/file-formats.md). Rank 0 of the run alone
/// writes it; `meshfold status` reads it from any other process.
struct RunState {
  std::string command;  ///< "cv"
  std::string host;     ///< rank 0's machine and process
  int process = 0;
  int ranks = 0;
  std::string started;                           ///< UTC, ISO 8601
  std::string ended;                             ///< empty while it works, or when it was killed
  int exit_code = 0;                             ///< of the end
  std::string message;                           ///< the error line of a run that failed
  std::vector<std::vector<std::string>> groups;  ///< job names by rank group, in the order in which they run
};

/// Replaces the file atomically. Throws StorageError.
void write_state(const std::filesystem::path& run, const RunState& state);

/// nullopt if there is none or it cannot be read as one.
std::optional<RunState> read_state(const std::filesystem::path& run);

/// A start of `command` by this process.
void begin_run(const std::filesystem::path& run, const std::string& command, const std::string& host, int ranks);
/// What the rank groups of the start will run.
void note_groups(const std::filesystem::path& run, std::vector<std::vector<std::string>> groups);
/// `message` is empty unless the run failed.
void end_run(const std::filesystem::path& run, int exit_code, const std::string& message);
/// A sign of life: the file's time becomes now. Says nothing if that fails.
void touch_state(const std::filesystem::path& run);

}  // namespace meshfold::jobs
