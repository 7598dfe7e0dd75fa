#pragma once

#include <filesystem>
#include <string>

#include "data/dataset.hpp"
#include "dist/communicator.hpp"
#include "jobs/config/run_config.hpp"
#include "jobs/run_environment.hpp"

namespace meshfold::jobs {

/// What a text table is used for: training tables have targets, folds and groups; test tables need only id, texts and
/// features.
enum class TableRole { kTrain, kTest };

/// The tokenized form of a table: found in the cache by content hash (bytes, columns, tokenizer, truncation,
/// format version), or made by all ranks of the world together: each tokenizes a contiguous share of the rows, and the
/// ranks write one HDF5 file in parallel (temporary name, sync, rename). Collective over the world. Throws
/// data::InputError for a missing column, empty text, repeated id, a target that is no number, naming row and column.
struct PreparedDataset {
  data::Dataset dataset;
  std::filesystem::path file;
  std::vector<std::string> class_names;  ///< classification: in the order of targets and outputs; see TargetColumns
  bool from_cache = false;
  double seconds = 0;
};
PreparedDataset prepare_dataset(const RunConfig& config, const std::filesystem::path& table, TableRole role,
                                RunEnvironment& environment);

/// "train.csv: 3,000 rows, 2 targets, tokens mean 21.3 max 64 (tokenized before)".
std::string describe(const PreparedDataset& prepared, const std::string& table);

}  // namespace meshfold::jobs
