#include "launcher/checkpoint_command.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "base/text.hpp"
#include "jobs/checkpoint/store.hpp"

namespace meshfold::launcher {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view kPrefix = "checkpoint-";

/// The step of a committed checkpoint's directory name, or -1.
long long step_of(const fs::path& directory) {
  const std::string name = directory.filename().string();
  long long step = -1;
  if (!name.starts_with(kPrefix)) return -1;
  const auto [end, error] = std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), step);
  return error == std::errc() && end == name.data() + name.size() ? step : -1;
}

/// Checkpoints at, in or one directory below `root`, by job, then step.
std::vector<fs::path> find_checkpoints(const fs::path& root) {
  std::vector<fs::path> found;
  if (step_of(root) >= 0) return {root};
  const auto add_from = [&](const fs::path& directory) {
    for (const auto& entry : fs::directory_iterator(directory)) {
      if (entry.is_directory() && step_of(entry.path()) >= 0) found.push_back(entry.path());
    }
  };
  add_from(root);
  for (const auto& entry : fs::directory_iterator(root)) {
    if (entry.is_directory() && step_of(entry.path()) < 0) add_from(entry.path());
  }
  std::ranges::sort(found, [](const fs::path& a, const fs::path& b) {
    return std::pair(a.parent_path(), step_of(a)) < std::pair(b.parent_path(), step_of(b));
  });
  return found;
}

std::uintmax_t bytes_in(const fs::path& directory) {
  std::uintmax_t bytes = 0;
  for (const auto& entry : fs::directory_iterator(directory)) {
    if (entry.is_regular_file()) bytes += entry.file_size();
  }
  return bytes;
}

std::string megabytes(std::uintmax_t bytes) { return base::format("%.1f", static_cast<double>(bytes) / 1e6); }

}  // namespace

jobs::ExitCode run_checkpoint_command(const CommandLine& line, jobs::Console& console) {
  const std::vector<std::string>& words = line.words;
  if (words.size() != 2 || (words[0] != "list" && words[0] != "verify")) {
    throw jobs::ConfigError("usage: meshfold checkpoint list|verify DIR");
  }
  const fs::path root = fs::path(words[1]).has_filename() ? fs::path(words[1]) : fs::path(words[1]).parent_path();
  if (!fs::is_directory(root)) throw jobs::ConfigError(words[1] + ": there is no such directory");
  const auto checkpoints = find_checkpoints(root);
  if (checkpoints.empty())
    throw jobs::CheckpointError(words[1] + ": no committed checkpoint in it or one directory below");

  const bool verifies = words[0] == "verify";
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> faults;
  for (const fs::path& checkpoint : checkpoints) {
    rows.push_back({checkpoint.parent_path().filename().string(), std::to_string(step_of(checkpoint)),
                    megabytes(bytes_in(checkpoint))});
    if (!verifies) continue;
    const auto found = jobs::checkpoint::verify_checkpoint(checkpoint);
    rows.back().push_back(found.empty() ? "good" : "damaged");
    for (const std::string& fault : found) faults.push_back(checkpoint.string() + ": " + fault);
  }
  console.grid(
      verifies ? std::vector<std::string>{"job", "step", "MB", "state"} : std::vector<std::string>{"job", "step", "MB"},
      rows);
  for (const std::string& fault : faults) console.say(fault);
  return faults.empty() ? jobs::ExitCode::kDone : jobs::ExitCode::kNoCheckpoint;
}

}  // namespace meshfold::launcher
