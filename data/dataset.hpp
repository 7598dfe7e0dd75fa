#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace meshfold::data {

/// Read-only view of a tokenized dataset file; the file is mapped after its layout, extents and size are checked (a
/// truncated or foreign file is an InputError that says what is wrong). Copyable handle to shared state; const methods
/// are thread-safe. Inputs are numbered sample * views_per_sample + view.
class Dataset {
 public:
  enum class Read { kMapped, kMemory };  ///< kMemory copies; for network file systems
  static Dataset open(const std::filesystem::path& file, Read read = Read::kMapped);

  std::uint32_t num_samples() const;
  std::uint32_t views_per_sample() const;
  std::uint32_t num_targets() const;
  std::uint32_t num_features() const;

  std::uint32_t length(std::uint64_t input) const;          ///< tokens of one input
  std::uint32_t sample_length(std::uint32_t sample) const;  ///< tokens of all its views
  /// Copies the input's ids to `out` (exactly length(input) values).
  void copy_tokens(std::uint64_t input, std::int32_t* out) const;
  std::uint32_t pair_start(std::uint64_t input) const;
  std::span<const float> targets(std::uint32_t sample) const;   ///< [C], empty without targets
  std::span<const float> features(std::uint32_t sample) const;  ///< [F]
  std::string_view id(std::uint32_t sample) const;
  bool has_folds() const;
  std::int16_t fold(std::uint32_t sample) const;
  bool has_groups() const;
  std::int32_t group(std::uint32_t sample) const;
  std::uint32_t num_groups() const;
  std::string_view group_name(std::int32_t code) const;
  const std::map<std::string, std::string>& attributes() const;
  /// Hex XXH3-128 of the source (attribute source_hash); identifies the data in checkpoints.
  const std::string& source_hash() const;

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

/// 0, 1, ... num_samples() - 1, for what takes a list of rows.
std::vector<std::uint32_t> all_rows(const Dataset& dataset);

}  // namespace meshfold::data
