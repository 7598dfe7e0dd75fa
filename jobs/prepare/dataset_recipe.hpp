#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/dataset.hpp"
#include "data/dataset_writer.hpp"
#include "data/tokenizer.hpp"
#include "jobs/config/run_config.hpp"
#include "jobs/console.hpp"
#include "jobs/prepare/dataset_cache.hpp"
#include "jobs/prepare/text_table.hpp"

namespace meshfold::jobs {

/// A table on its way into a dataset file: what every process knows of it without asking another.
struct DatasetRecipe {
  /// Opens the table and the tokenizer; throws as they do.
  DatasetRecipe(const RunConfig& config, const std::filesystem::path& table, TableRole role);

  TextTable table;
  std::unique_ptr<data::Tokenizer> tokenizer;
  data::Truncation truncation;
  std::string hash;            ///< over everything that decides what the dataset file holds
  std::filesystem::path file;  ///< in the cache

  /// Sizes and attributes of the whole file; after table.scan().
  data::DatasetLayout layout(std::uint64_t num_tokens, std::uint64_t num_id_bytes) const;
  /// Whether the cache has the file, whole; a damaged one is told about, as made again.
  bool is_cached(Console& console) const;
};

/// The classes of a classification, in the order of targets and outputs.
std::vector<std::string> class_names_of(const data::Dataset& dataset);

}  // namespace meshfold::jobs
