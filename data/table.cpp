#include "data/table.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "base/text.hpp"
#include "data/csv_table.hpp"
#include "data/json_lines_table.hpp"
#include "data/map_input.hpp"
#include "data/nearest_name.hpp"
#include "data/utf8.hpp"

namespace meshfold::data {
namespace {

/// More names than these do not help anybody.
constexpr std::size_t kShownColumns = 30;

bool is_json_lines(const std::filesystem::path& file) {
  std::string extension = file.extension().string();
  std::ranges::transform(extension, extension.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  if (extension == ".csv") return false;
  if (extension == ".jsonl" || extension == ".ndjson" || extension == ".json") return true;
  const base::MappedFile mapping = map_input(file);
  std::string_view bytes = mapping.bytes();
  if (bytes.starts_with(kByteOrderMark)) bytes.remove_prefix(kByteOrderMark.size());
  const std::size_t first = bytes.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && bytes[first] == '{';
}

}  // namespace

std::optional<std::size_t> Table::find_column(std::string_view name) const {
  const auto found = std::ranges::find(columns(), name);
  if (found == columns().end()) return std::nullopt;
  return static_cast<std::size_t>(found - columns().begin());
}

std::size_t Table::column(std::string_view name) const {
  if (const auto found = find_column(name)) return *found;
  std::string problem = "no such column; ";
  if (const auto nearest = nearest_name(name, columns())) problem += "did you mean '" + *nearest + "'? ";
  problem += "the columns are " + base::shortened(columns(), kShownColumns);
  throw InputError({file().string(), {}, {}, std::string(name)}, problem);
}

InputPlace Table::place(std::size_t row, std::size_t column) const {
  return {file().string(), row_of_file(row) + 1, line_of(row), columns()[column]};
}

std::string Table::cell(std::size_t row, std::size_t column) const {
  Cell cell = read(row, column);
  if (cell.type == Cell::Type::kList || cell.type == Cell::Type::kObject) {
    throw InputError(place(row, column), std::string(cell.type == Cell::Type::kList ? "a JSON list" : "a JSON object") +
                                             " where one text, number, true, false or null is needed");
  }
  return std::move(cell.text);
}

double Table::number(std::size_t row, std::size_t column) const {
  const auto fail = [&](const std::string& problem) { throw InputError(place(row, column), problem); };
  const Cell::Type type = read(row, column).type;
  if (type == Cell::Type::kMissing) fail("the key is missing; a number is needed here");
  if (type == Cell::Type::kNull) fail("null; a number is needed here");
  const std::string text = cell(row, column);
  if (type == Cell::Type::kBoolean) return text == "true" ? 1 : 0;
  if (text.empty()) fail("empty; a number is needed here");
  const char* const end = text.data() + text.size();
  double value = 0;
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc::result_out_of_range) fail("'" + text + "' is too large or too small for a double");
  if (error != std::errc() || stop != end) fail("'" + text + "' is not a number like -1.5 or 2e-3");
  if (!std::isfinite(value)) fail("'" + text + "' is not finite; remove the row or fill in a number");
  return value;
}

std::unique_ptr<const Table> open_table(const std::filesystem::path& file) {
  if (is_json_lines(file)) return std::make_unique<JsonLinesTable>(JsonLinesTable::open(file));
  return std::make_unique<CsvTable>(CsvTable::open(file));
}

}  // namespace meshfold::data
