#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace meshfold::jobs {

/// One option's resolved value, as the launcher's table gives it.
struct ResolvedOption {
  enum class Kind { kData, kTraining, kLayout, kOutput };
  std::string key;     ///< "training.epochs"
  std::string value;   ///< as written in the INI file
  Kind kind;
};

/// Writes or checks `<run>/config.ini` (and run.json with run id, format version, config hash). A changed data or training key of an existing run
/// is a ConfigError with the list of differences; layout and output keys may change and are rewritten. Rank 0 only.
void open_run_directory(const std::filesystem::path& run, const std::vector<ResolvedOption>& options);

/// Hash over the data and training keys; stored in checkpoints.
std::string config_hash(const std::vector<ResolvedOption>& options);

}  // namespace meshfold::jobs
