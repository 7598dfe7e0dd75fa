#include "data/csv_table.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "data/csv_index.hpp"
#include "data/error.hpp"
#include "data/mapped_file.hpp"
#include "data/nearest_name.hpp"

namespace meshfold::data {

struct CsvTable::Contents {
  std::filesystem::path file;
  MappedFile mapping;
  CsvIndex index;
};

CsvTable::CsvTable(std::unique_ptr<Contents> contents) : contents_(std::move(contents)) {}
CsvTable::CsvTable(CsvTable&&) noexcept = default;
CsvTable& CsvTable::operator=(CsvTable&&) noexcept = default;
CsvTable::~CsvTable() = default;

CsvTable CsvTable::open(const std::filesystem::path& file) {
  MappedFile mapping(file);
  CsvIndex index = index_csv(mapping.bytes(), file.string());
  return CsvTable(std::make_unique<Contents>(Contents{file, std::move(mapping), std::move(index)}));
}

const std::filesystem::path& CsvTable::file() const { return contents_->file; }
std::size_t CsvTable::num_rows() const { return contents_->index.starts.size(); }
const std::vector<std::string>& CsvTable::columns() const { return contents_->index.columns; }
std::uint64_t CsvTable::line_of(std::size_t row) const { return contents_->index.lines[row]; }
std::string_view CsvTable::bytes() const { return contents_->mapping.bytes(); }

std::optional<std::size_t> CsvTable::find_column(std::string_view name) const {
  const auto found = std::find(columns().begin(), columns().end(), name);
  if (found == columns().end()) return std::nullopt;
  return static_cast<std::size_t>(found - columns().begin());
}

std::size_t CsvTable::column(std::string_view name) const {
  if (const auto found = find_column(name)) return *found;
  std::string problem = "no such column; ";
  if (const auto nearest = nearest_name(name, columns())) problem += "did you mean '" + *nearest + "'? ";
  problem += "the columns are ";
  for (const std::string& column : columns()) problem += (&column == &columns().front() ? "" : ", ") + column;
  throw InputError({file().string(), {}, {}, std::string(name)}, problem);
}

std::string CsvTable::cell(std::size_t row, std::size_t column) const {
  std::size_t at = contents_->index.starts[row];
  for (std::size_t i = 0; i < column; ++i) {
    skip_csv_field(bytes(), at);
    ++at;
  }
  return read_csv_field(bytes(), at);
}

double CsvTable::number(std::size_t row, std::size_t column) const {
  const std::string text = cell(row, column);
  const auto fail = [&](const std::string& problem) {
    throw InputError({file().string(), row + 1, line_of(row), columns()[column]}, problem);
  };
  if (text.empty()) fail("empty; a number is needed here");
  const char* const end = text.data() + text.size();
  double value = 0;
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc::result_out_of_range) fail("'" + text + "' is too large or too small for a double");
  if (error != std::errc() || stop != end) fail("'" + text + "' is not a number like -1.5 or 2e-3");
  if (!std::isfinite(value)) fail("'" + text + "' is not finite; remove the row or fill in a number");
  return value;
}

std::string csv_field(std::string_view value) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  const bool quoted = value.find_first_of(",\"\r\n") != std::string_view::npos ||
                      (!value.empty() && (is_blank(value.front()) || is_blank(value.back())));
  if (!quoted) return std::string(value);
  std::string field = "\"";
  for (const char c : value) {
    if (c == '"') field += '"';
    field += c;
  }
  return field + '"';
}

}  // namespace meshfold::data
