#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace meshfold::data {

/// A CSV file (RFC 4180: quotes, doubled quotes, embedded newlines, CRLF or LF, optional UTF-8 BOM) mapped into memory,
/// with the start of every record indexed in one pass; cells are decoded when asked for. Throws InputError with file,
/// row and line for: no header, repeated column names, a record with another number of fields than the header, a quote
/// that never closes, text after a closing quote, a quote inside an unquoted field, a carriage return alone outside
/// quotes, invalid UTF-8, NUL bytes. Blank lines at the end are not records.
class CsvTable {
 public:
  static CsvTable open(const std::filesystem::path& file);
  CsvTable(CsvTable&&) noexcept;
  CsvTable& operator=(CsvTable&&) noexcept;
  ~CsvTable();

  const std::filesystem::path& file() const;
  std::size_t num_rows() const;
  const std::vector<std::string>& columns() const;
  std::optional<std::size_t> find_column(std::string_view name) const;
  /// Throws InputError that lists the columns and the nearest name.
  std::size_t column(std::string_view name) const;
  /// The cell, unquoted. row in [0, num_rows).
  std::string cell(std::size_t row, std::size_t column) const;
  /// Text line (from 1) on which the row's record starts.
  std::uint64_t line_of(std::size_t row) const;
  /// The cell as a finite decimal number (no locale, no blanks around it); InputError names row, line and column.
  double number(std::size_t row, std::size_t column) const;
  /// The file's bytes, for hashing.
  std::string_view bytes() const;

 private:
  struct Contents;
  explicit CsvTable(std::unique_ptr<Contents> contents);
  std::unique_ptr<Contents> contents_;
};

/// Writes one RFC 4180 field: quoted when it has a comma, a quote, CR or LF, or starts or ends with a blank.
std::string csv_field(std::string_view value);

}  // namespace meshfold::data
