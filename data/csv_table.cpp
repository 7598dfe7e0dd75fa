#include "data/csv_table.hpp"

#include <utility>

#include "data/csv_index.hpp"
#include "data/map_input.hpp"

namespace meshfold::data {

struct CsvTable::Contents {
  std::filesystem::path file;
  base::MappedFile mapping;
  CsvIndex index;
};

CsvTable::CsvTable(std::unique_ptr<Contents> contents) : contents_(std::move(contents)) {}
CsvTable::CsvTable(CsvTable&&) noexcept = default;
CsvTable& CsvTable::operator=(CsvTable&&) noexcept = default;
CsvTable::~CsvTable() = default;

CsvTable CsvTable::open(const std::filesystem::path& file) {
  base::MappedFile mapping = map_input(file);
  CsvIndex index = index_csv(mapping.bytes(), file.string());
  return CsvTable(std::make_unique<Contents>(Contents{file, std::move(mapping), std::move(index)}));
}

const std::filesystem::path& CsvTable::file() const { return contents_->file; }
std::size_t CsvTable::num_rows() const { return contents_->index.starts.size(); }
const std::vector<std::string>& CsvTable::columns() const { return contents_->index.columns; }
std::uint64_t CsvTable::line_of(std::size_t row) const { return contents_->index.lines[row]; }
std::string_view CsvTable::bytes() const { return contents_->mapping.bytes(); }

Cell CsvTable::read(std::size_t row, std::size_t column) const {
  std::size_t at = contents_->index.starts[row];
  for (std::size_t i = 0; i < column; ++i) {
    skip_csv_field(bytes(), at);
    ++at;
  }
  return {Cell::Type::kText, read_csv_field(bytes(), at)};
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
