#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace meshfold::jobs {

/// One option's resolved value, as the launcher's table gives it.
struct ResolvedOption {
  enum class Kind { kData, kTraining, kLayout, kOutput };
  std::string key;    ///< "training.epochs"
  std::string value;  ///< as written in the INI file, before quoting
  Kind kind;
};

/// Writes or checks `<run>/config.ini` and `run.json` (run id, format version, config hash, the data and training
/// options, accepted changes). A changed data or training key of a run that has begun to train is a ConfigError with
/// the list of differences, unless it is one of `accepted`: then the change is noted with its time in run.json. Before
/// that, as after a start that was refused, and for layout and output keys changes are simply taken. Both files are
/// replaced atomically. Returns the hash of the config that the run was started with, which its checkpoints and results
/// carry through accepted changes. Throws StorageError if the files cannot be written. Rank 0 only.
std::string open_run_directory(const std::filesystem::path& run, const std::vector<ResolvedOption>& options,
                               const std::vector<std::string>& accepted);

/// XXH3-128 over the data and training keys and values, 32 hex digits; stored in checkpoints.
std::string config_hash(const std::vector<ResolvedOption>& options);

/// The options as INI text, section by section in their order; values are quoted where the reader would otherwise
/// change them.
std::string to_ini(const std::vector<ResolvedOption>& options);

}  // namespace meshfold::jobs
