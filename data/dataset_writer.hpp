#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace meshfold::data {

/// What every rank must know before the file is made; equal on all of them.
struct DatasetLayout {
  std::uint64_t num_samples = 0;
  std::uint32_t views_per_sample = 1;
  std::uint64_t num_tokens = 0;  ///< total over all ranks
  std::uint64_t num_id_bytes = 0;
  std::uint32_t num_targets = 0;
  std::uint32_t num_features = 0;
  bool has_folds = false;
  bool has_groups = false;
  std::uint64_t num_groups = 0;
  std::uint64_t num_group_bytes = 0;
  bool wide_tokens = false;  ///< i32 instead of u16
  std::map<std::string, std::string>
      attributes;  ///< tokenizer, column roles ... (all strings); format, format_version, token_type and
                   ///< views_per_sample are the writer's own
};

/// One rank's contiguous part of the samples, to be written at the given offsets.
struct DatasetPart {
  std::uint64_t first_sample = 0;
  std::uint64_t first_token = 0;
  std::uint64_t first_id_byte = 0;
  std::vector<std::int32_t> tokens;
  std::vector<std::uint32_t> lengths;      ///< one per input (samples x views)
  std::vector<std::uint32_t> pair_starts;  ///< one per input
  std::vector<float> targets, features;    ///< row-major [samples, C], [samples, F]
  std::vector<std::int16_t> folds;
  std::vector<std::int32_t> group_codes;
  std::vector<std::string> ids;
};

/// Writes the dataset file described in docs/file-formats.md. Collective over the ranks behind `file_access` (an HDF5
/// file-access property list: MPI-IO when several ranks write, default for one); knows offsets, never a communicator.
/// Group names are written by one rank. Independent writes of at most 256 MiB. The caller renames `file` into place
/// after every rank's close().
class DatasetWriter {
 public:
  /// `file_access` is an hid_t that stays the caller's.
  DatasetWriter(const std::filesystem::path& file, const DatasetLayout& layout, std::int64_t file_access);
  ~DatasetWriter();
  DatasetWriter(const DatasetWriter&) = delete;
  DatasetWriter& operator=(const DatasetWriter&) = delete;

  void write(const DatasetPart& part);
  /// Called by exactly one rank, and only if the layout has groups: name of each group code.
  void write_groups(std::span<const std::string> names);
  void close();  ///< flushes and closes; collective. Without it the destructor closes and says nothing of failures

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace meshfold::data
