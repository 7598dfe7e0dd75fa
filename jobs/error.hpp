#pragma once

#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/durable_file.hpp"

namespace meshfold::jobs {

/// Exit codes of the program; scripts rely on them (docs/architecture.md).
enum class ExitCode : int {
  kDone = 0,
  kInternal = 1,
  kConfig = 2,
  kInput = 3,
  kNoCheckpoint = 4,
  kStorage = 5,
  kPeerLost = 6,
  kBadNumbers = 7,
  kStoppedOnRequest = 75,
};

/// What the user can fix in the configuration; all faults at once, one a line in `what()` when there are several.
class ConfigError : public std::runtime_error {
 public:
  explicit ConfigError(const std::vector<std::string>& faults);
  explicit ConfigError(const std::string& fault) : ConfigError(std::vector<std::string>{fault}) {}
};

class CheckpointError : public std::runtime_error {  ///< no usable checkpoint
 public:
  using std::runtime_error::runtime_error;
};

using base::StorageError;  ///< a write, sync or rename failed

class BadNumbersError : public std::runtime_error {  ///< loss or gradient not finite, agreed by the job
 public:
  using std::runtime_error::runtime_error;
};

/// The code that `error` asks for, over all libraries' error types.
ExitCode exit_code_of(const std::exception& error);

}  // namespace meshfold::jobs
