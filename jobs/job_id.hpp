#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace meshfold::jobs {

/// Which training of a run it is.
struct JobId {
  std::string name;         ///< "fold-2", "train": the directory below the run
  std::optional<int> fold;  ///< nullopt: not a fold

  static JobId of_fold(int fold);
  static JobId of_training();  ///< of `meshfold train`
  /// The id that has this name.
  static JobId named(std::string name);

  /// Whether a directory of this name below a run is a job's.
  bool is_known() const { return fold || name == of_training().name; }
  friend bool operator==(const JobId&, const JobId&) = default;
};

/// The seed of a job's draws (order of samples, dropout, fresh tensors): run.seed, of a fold xor
/// 0x9E3779B9 * (fold + 1), modulo 2^32. Multiplying by an odd number is a bijection, so no two folds share a seed.
/// Part of the numerics contract.
std::uint32_t job_seed(std::uint32_t run_seed, const JobId& job);

}  // namespace meshfold::jobs
