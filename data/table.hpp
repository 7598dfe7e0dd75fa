#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/error.hpp"

namespace meshfold::data {

/// One value of a table. CSV knows texts alone; the other types come from JSON.
struct Cell {
  enum class Type { kText, kNumber, kBoolean, kNull, kMissing, kList, kObject };
  Type type = Type::kText;
  std::string text;  ///< a decoded text, or the JSON as it is written; empty for null and for what is missing
};

/// A file of rows with named columns, whole and checked, whose cells are decoded when asked for. Const methods are safe
/// to share between threads. InputError names file, row, line and column.
class Table {
 public:
  Table() = default;
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;
  Table(Table&&) = default;
  Table& operator=(Table&&) = default;
  virtual ~Table() = default;

  virtual const std::filesystem::path& file() const = 0;
  virtual std::size_t num_rows() const = 0;
  virtual const std::vector<std::string>& columns() const = 0;
  /// row in [0, num_rows).
  virtual Cell read(std::size_t row, std::size_t column) const = 0;
  /// Text line (from 1) on which the row starts.
  virtual std::uint64_t line_of(std::size_t row) const = 0;
  /// The file's bytes, for hashing.
  virtual std::string_view bytes() const = 0;
  /// The row of the file, from 0, which row `row` is: another one in a sample (table_sample.hpp).
  virtual std::size_t row_of_file(std::size_t row) const { return row; }

  std::optional<std::size_t> find_column(std::string_view name) const;
  /// Throws InputError that lists the columns and the nearest name.
  std::size_t column(std::string_view name) const;
  InputPlace place(std::size_t row, std::size_t column) const;
  /// The cell as one text: a number or boolean as it is written, null and missing as nothing; InputError for a list or
  /// an object.
  std::string cell(std::size_t row, std::size_t column) const;
  /// The cell as a finite decimal number (no locale, no blanks around it); true is 1 and false is 0.
  double number(std::size_t row, std::size_t column) const;
};

/// Opens a table. `.csv` is CSV (CsvTable); `.jsonl`, `.ndjson` and `.json` are JSON Lines (JsonLinesTable); of any
/// other name, a file whose first character is `{` is JSON Lines and all else is CSV.
std::unique_ptr<const Table> open_table(const std::filesystem::path& file);

}  // namespace meshfold::data
