#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "data/dataset.hpp"
#include "jobs/scores/metrics.hpp"

namespace meshfold::jobs {

/// How many training texts (views of samples) have so many tokens; bar i counts lengths from low + i width on.
struct LengthCounts {
  std::size_t low = 0, width = 1;
  std::vector<std::size_t> counts;
  std::size_t longest = 0, at_limit = 0;  ///< at_limit: as long as tokenizer.max_length, so probably cut
};

/// What a report needs besides the run's other files: `<run>/summary.json` (docs/file-formats.md). Rank 0 writes it
/// when a run starts, and again, with the scores, when it ends.
struct RunNotes {
  std::string command;  ///< "cv"
  models::Task task = models::Task::kRegression;
  std::vector<std::string> labels;
  std::vector<std::pair<std::string, std::string>> facts;  ///< the start-up table
  LengthCounts lengths;
  Scores pooled, trivial;                                  ///< empty until the end
  std::vector<std::pair<std::string, std::string>> files;  ///< what was written: label, path
};

/// At most 32 bars, each of whole tokens.
LengthCounts count_lengths(const data::Dataset& dataset, std::size_t max_length);

/// Replaces the file atomically. Throws StorageError.
void write_notes(const std::filesystem::path& run, const RunNotes& notes);

/// nullopt if there is none or it cannot be read as one.
std::optional<RunNotes> read_notes(const std::filesystem::path& run);

}  // namespace meshfold::jobs
