#include "jobs/error.hpp"

#include <filesystem>

#include "base/mapped_file.hpp"
#include "base/text.hpp"
#include "data/error.hpp"
#include "dist/error.hpp"
#include "models/error.hpp"

namespace meshfold::jobs {
namespace {

std::string in_words(const std::vector<std::string>& faults) {
  if (faults.size() == 1) return faults.front();
  return std::to_string(faults.size()) + " faults in the configuration:\n  " + base::joined(faults, "\n  ");
}

}  // namespace

ConfigError::ConfigError(const std::vector<std::string>& faults) : std::runtime_error(in_words(faults)) {}

ExitCode exit_code_of(const std::exception& error) {
  if (const auto* peer = dynamic_cast<const dist::PeerFailed*>(&error)) return static_cast<ExitCode>(peer->exit_code());
  if (dynamic_cast<const ConfigError*>(&error)) return ExitCode::kConfig;
  if (dynamic_cast<const models::LayoutError*>(&error)) return ExitCode::kConfig;
  if (dynamic_cast<const data::InputError*>(&error)) return ExitCode::kInput;
  if (dynamic_cast<const base::UnreadableFile*>(&error)) return ExitCode::kInput;
  if (dynamic_cast<const data::Hdf5Error*>(&error)) return ExitCode::kStorage;
  if (dynamic_cast<const std::filesystem::filesystem_error*>(&error)) return ExitCode::kStorage;
  if (dynamic_cast<const models::ModelFileError*>(&error)) return ExitCode::kInput;
  if (dynamic_cast<const CheckpointError*>(&error)) return ExitCode::kNoCheckpoint;
  if (dynamic_cast<const StorageError*>(&error)) return ExitCode::kStorage;
  if (dynamic_cast<const dist::PeerLost*>(&error)) return ExitCode::kPeerLost;
  if (dynamic_cast<const dist::MpiError*>(&error)) return ExitCode::kPeerLost;
  if (dynamic_cast<const dist::NcclError*>(&error)) return ExitCode::kPeerLost;
  if (dynamic_cast<const BadNumbersError*>(&error)) return ExitCode::kBadNumbers;
  return ExitCode::kInternal;
}

}  // namespace meshfold::jobs
