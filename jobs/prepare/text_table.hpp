#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset_writer.hpp"
#include "data/error.hpp"
#include "data/table.hpp"
#include "data/tokenizer.hpp"
#include "jobs/prepare/dataset_cache.hpp"
#include "jobs/run_config.hpp"

namespace meshfold::jobs {

/// A table with the column roles of a config: what every rank knows before the rows are shared out. Rank-local.
class TextTable {
 public:
  /// Opens the file and finds its columns; InputError for one that is missing or a file without rows, ConfigError for
  /// classification with other than one target.
  TextTable(const std::filesystem::path& file, const RunConfig& config, TableRole role);

  const data::Table& table() const { return *table_; }
  /// The roles as one line of JSON: part of the cache key and an attribute of the dataset.
  const std::string& roles() const { return roles_; }

  /// Reads what must be known of all rows: checks that ids are there and unique, numbers groups in the order of their
  /// first appearance and sorts the class names. InputError names row, line and column.
  void scan();
  const std::vector<std::string>& class_names() const { return class_names_; }
  const std::vector<std::string>& group_names() const { return group_names_; }
  bool has_groups() const { return group_.has_value(); }
  bool has_folds() const { return fold_.has_value(); }
  std::uint32_t num_targets() const;
  /// Bytes of text of every row, by which the work is shared out.
  std::vector<std::uint64_t> text_bytes() const;

  /// Rows [begin, end), tokenized and checked: InputError for empty text and for a target or fold that is no number.
  /// Only after scan(). The offsets of the part are left at 0, except first_sample.
  data::DatasetPart tokenize(std::size_t begin, std::size_t end, const data::Tokenizer& tokenizer) const;

 private:
  data::InputPlace place(std::size_t row, std::size_t column) const { return table_->place(row, column); }
  void check_ids() const;
  std::string text(std::size_t row, std::size_t column) const;
  void append_targets(std::size_t row, std::vector<float>& targets) const;
  std::int16_t fold(std::size_t row) const;

  std::unique_ptr<const data::Table> table_;
  bool classification_;
  EmptyText empty_text_;
  std::size_t max_length_;
  std::size_t id_ = 0, text_ = 0;
  std::optional<std::size_t> text_pair_, group_, fold_;
  std::vector<std::size_t> targets_;
  std::string roles_;
  std::vector<std::string> class_names_, group_names_;
  std::vector<std::int32_t> group_codes_;
};

}  // namespace meshfold::jobs
