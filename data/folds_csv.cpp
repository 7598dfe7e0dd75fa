#include <cmath>
#include <stdexcept>

#include "base/durable_file.hpp"
#include "data/csv_table.hpp"
#include "data/error.hpp"
#include "data/folds.hpp"

namespace meshfold::data {

void write_folds_csv(const std::filesystem::path& file, std::span<const std::string> ids, const FoldAssignment& folds) {
  if (ids.size() != folds.size()) {
    throw std::invalid_argument(std::to_string(ids.size()) + " ids for " + std::to_string(folds.size()) + " folds");
  }
  std::string text = "id,fold\n";
  for (std::size_t i = 0; i < ids.size(); ++i) text += csv_field(ids[i]) + ',' + std::to_string(folds[i]) + '\n';
  base::replace_file(file, text);
}

FoldAssignment read_folds_csv(const std::filesystem::path& file, std::span<const std::string> ids) {
  const CsvTable table = CsvTable::open(file);
  const std::size_t id_column = table.column("id"), fold_column = table.column("fold");
  if (table.num_rows() != ids.size()) {
    throw InputError({.file = file.string(), .row = {}, .line = {}, .column = {}},
                     std::to_string(table.num_rows()) + " rows for " + std::to_string(ids.size()) +
                         " samples; it belongs to other data: use the table it was made for, or another run directory");
  }
  FoldAssignment folds(ids.size());
  for (std::size_t row = 0; row < ids.size(); ++row) {
    const auto place = [&](const char* column) {
      return InputPlace{.file = file.string(), .row = row + 1, .line = table.line_of(row), .column = column};
    };
    if (const std::string id = table.cell(row, id_column); id != ids[row]) {
      throw InputError(place("id"),
                       "'" + id + "' where the data has '" + ids[row] +
                           "'; it belongs to other data: use the table it was made for, or another run directory");
    }
    const double fold = table.number(row, fold_column);
    if (fold != std::floor(fold) || fold < 0 || fold > 32767) {
      throw InputError(place("fold"),
                       "'" + table.cell(row, fold_column) + "' is no fold; folds are whole numbers from 0");
    }
    folds[row] = static_cast<std::int16_t>(fold);
  }
  return folds;
}

}  // namespace meshfold::data
