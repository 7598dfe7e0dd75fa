#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/table.hpp"

namespace meshfold::data {

/// A JSON Lines file (one object a line, UTF-8, LF or CRLF, optional BOM; blank lines are passed over) mapped into
/// memory, with the start of every object indexed in one pass that also checks all of it. Columns are the keys of all
/// objects in the order of their first appearance; a key that a row lacks is Cell::Type::kMissing. A list or object as
/// a value is one cell, which holds its JSON.
///
/// Throws InputError with file, row, line and key for: no object at all, a line that is not one JSON object, an object
/// that goes on over several lines, a last line that was cut off, a key that occurs twice in one row, invalid UTF-8,
/// NaN and infinities.
class JsonLinesTable final : public Table {
 public:
  static JsonLinesTable open(const std::filesystem::path& file);
  JsonLinesTable(JsonLinesTable&&) noexcept;
  JsonLinesTable& operator=(JsonLinesTable&&) noexcept;
  ~JsonLinesTable() override;

  const std::filesystem::path& file() const override;
  std::size_t num_rows() const override;
  const std::vector<std::string>& columns() const override;
  Cell read(std::size_t row, std::size_t column) const override;
  std::uint64_t line_of(std::size_t row) const override;
  std::string_view bytes() const override;

 private:
  struct Contents;
  explicit JsonLinesTable(std::unique_ptr<Contents> contents);
  std::unique_ptr<Contents> contents_;
};

}  // namespace meshfold::data
