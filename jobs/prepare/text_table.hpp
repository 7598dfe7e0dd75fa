#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset_writer.hpp"
#include "data/table.hpp"
#include "data/tokenizer.hpp"
#include "jobs/config/run_config.hpp"
#include "jobs/prepare/dataset_cache.hpp"
#include "jobs/prepare/target_columns.hpp"
#include "jobs/prepare/text_views.hpp"

namespace meshfold::jobs {

/// A table with the column roles of a config: what every rank knows before the rows are shared out. Rank-local.
class TextTable {
 public:
  /// Opens the file and finds its columns; InputError for one that is missing or a file without rows, ConfigError for
  /// roles that contradict each other.
  TextTable(const std::filesystem::path& file, const RunConfig& config, TableRole role);

  const data::Table& table() const { return *table_; }
  /// The roles as one line of JSON: part of the cache key and an attribute of the dataset.
  const std::string& roles() const { return roles_; }

  /// Reads what must be known of all rows: checks that ids are there and unique, numbers groups in the order of their
  /// first appearance and finds the class names. InputError names row, line and column.
  void scan();
  const std::vector<std::string>& class_names() const { return targets_.class_names(); }
  const std::vector<std::string>& group_names() const { return group_names_; }
  bool has_groups() const { return group_.has_value(); }
  bool has_folds() const { return fold_.has_value(); }
  std::uint32_t num_views() const { return views_.num_views(); }
  std::uint32_t num_targets() const { return targets_.width(); }
  std::uint32_t num_features() const { return static_cast<std::uint32_t>(features_.size()); }
  /// Bytes of text of every row, by which the work is shared out.
  std::vector<std::uint64_t> text_bytes() const;

  /// Rows [begin, end), tokenized and checked: InputError for empty text, malformed turns, a first segment that may
  /// not be cut and is too long, and a target, feature or fold that is none. Only after scan(). The offsets of the part
  /// are left at 0, except first_sample.
  data::DatasetPart tokenize(std::size_t begin, std::size_t end, const data::Tokenizer& tokenizer) const;

 private:
  /// `roles` and `task` as a table of this role has them.
  TextTable(const std::filesystem::path& file, const DataSection& roles, models::Task task, const RunConfig& config,
            TableRole role);
  void check_size() const;
  void check_ids() const;
  void scan_groups();
  std::int16_t fold(std::size_t row) const;
  data::EncodedInput encode(std::size_t row, const std::string& text, const std::string* pair,
                            const data::Tokenizer& tokenizer) const;
  void append_inputs(std::size_t row, const data::Tokenizer& tokenizer, data::DatasetPart& part) const;

  std::unique_ptr<const data::Table> table_;
  TextViews views_;
  TargetColumns targets_;
  data::Truncation truncation_;
  std::size_t id_;
  std::optional<std::size_t> group_, fold_;
  std::vector<std::size_t> features_;
  std::string roles_;
  std::vector<std::string> group_names_;
  std::vector<std::int32_t> group_codes_;
};

}  // namespace meshfold::jobs
