#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/table.hpp"

namespace meshfold::data {

/// A CSV file (RFC 4180: quotes, doubled quotes, embedded newlines, CRLF or LF, optional UTF-8 BOM) mapped into memory,
/// with the start of every record indexed in one pass; cells are decoded when asked for. Throws InputError with file,
/// row and line for: no header, repeated column names, a record with another number of fields than the header, a quote
/// that never closes, text after a closing quote, a quote inside an unquoted field, a carriage return alone outside
/// quotes, invalid UTF-8, NUL bytes. Blank lines at the end are not records.
class CsvTable final : public Table {
 public:
  static CsvTable open(const std::filesystem::path& file);
  CsvTable(CsvTable&&) noexcept;
  CsvTable& operator=(CsvTable&&) noexcept;
  ~CsvTable() override;

  const std::filesystem::path& file() const override;
  std::size_t num_rows() const override;
  const std::vector<std::string>& columns() const override;
  /// The cell, unquoted; always a text.
  Cell read(std::size_t row, std::size_t column) const override;
  std::uint64_t line_of(std::size_t row) const override;
  std::string_view bytes() const override;

 private:
  struct Contents;
  explicit CsvTable(std::unique_ptr<Contents> contents);
  std::unique_ptr<Contents> contents_;
};

/// Writes one RFC 4180 field: quoted when it has a comma, a quote, CR or LF, or starts or ends with a blank.
std::string csv_field(std::string_view value);

}  // namespace meshfold::data
