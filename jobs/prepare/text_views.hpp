#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/table.hpp"
#include "data/text_template.hpp"
#include "jobs/config/run_config.hpp"

namespace meshfold::jobs {

/// The texts of a table's rows, one a view, made of columns as the config says. Every InputError names row, line and
/// column.
class TextViews {
 public:
  /// InputError for a column that is missing, ConfigError for templates that do not fit. `table` must outlive this.
  TextViews(const data::Table& table, const DataSection& roles);

  std::uint32_t num_views() const { return static_cast<std::uint32_t>(views_.size()); }
  bool has_pairs() const { return pair_.has_value(); }
  /// InputError if no column of the view holds anything, unless empty texts are kept.
  std::string text(std::size_t row, std::uint32_t view) const;
  /// The second segment, which all views share.
  std::string pair(std::size_t row) const;
  /// Bytes of all columns that make up the row's texts: what work there is, without reading turns.
  std::uint64_t num_bytes(std::size_t row) const;

 private:
  struct Piece {
    std::string literal;
    std::optional<std::size_t> column;
  };
  std::string column_text(std::size_t row, std::size_t column) const;
  [[noreturn]] void refuse_empty(std::size_t row, std::size_t column) const;

  const data::Table& table_;
  std::vector<std::vector<Piece>> views_;
  std::optional<std::size_t> pair_;
  EmptyText empty_text_;
  data::Turns turns_;
  std::string joiner_;
  std::vector<bool> holds_turns_;  ///< of each column of the table
};

}  // namespace meshfold::jobs
