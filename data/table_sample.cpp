#include "data/table_sample.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/philox.hpp"

namespace meshfold::data {
namespace {

class TableSample final : public Table {
 public:
  TableSample(std::unique_ptr<const Table> whole, std::vector<std::size_t> rows)
      : whole_(std::move(whole)), rows_(std::move(rows)) {}

  const std::filesystem::path& file() const override { return whole_->file(); }
  std::size_t num_rows() const override { return rows_.size(); }
  const std::vector<std::string>& columns() const override { return whole_->columns(); }
  Cell read(std::size_t row, std::size_t column) const override { return whole_->read(rows_.at(row), column); }
  std::uint64_t line_of(std::size_t row) const override { return whole_->line_of(rows_.at(row)); }
  std::size_t row_of_file(std::size_t row) const override { return rows_.at(row); }
  std::string_view bytes() const override { return whole_->bytes(); }

 private:
  std::unique_ptr<const Table> whole_;
  std::vector<std::size_t> rows_;  ///< ascending
};

/// All rows, smallest draw first.
std::vector<std::size_t> drawn_order(std::size_t num_rows, std::uint32_t seed) {
  const base::PhiloxKey key = base::make_philox_key(seed, base::DrawPurpose::kSampleCut, 0, 0);
  std::vector<std::pair<std::uint64_t, std::size_t>> keyed;  // (draw, row): the order is total
  keyed.reserve(num_rows);
  for (std::size_t row = 0; row < num_rows; ++row) {
    const base::PhiloxDraws draws = base::philox4x32_10({static_cast<std::uint32_t>(row), 0, 0, 0}, key);
    keyed.emplace_back(std::uint64_t{draws[0]} << 32 | draws[1], row);
  }
  std::ranges::sort(keyed);
  std::vector<std::size_t> order;
  order.reserve(num_rows);
  for (const auto& [draw, row] : keyed) order.push_back(row);
  return order;
}

}  // namespace

std::unique_ptr<const Table> sample_rows(std::unique_ptr<const Table> table, std::size_t count, std::uint32_t seed,
                                         std::span<const std::size_t> covered) {
  if (table->num_rows() <= count) return table;
  const std::vector<std::size_t> order = drawn_order(table->num_rows(), seed);
  std::set<std::size_t> chosen;
  for (const std::size_t column : covered) {
    std::set<std::string> seen;
    for (const std::size_t row : order) {
      if (seen.insert(table->cell(row, column)).second) chosen.insert(row);
    }
  }
  for (auto row = order.begin(); chosen.size() < count; ++row) chosen.insert(*row);
  return std::make_unique<TableSample>(std::move(table), std::vector<std::size_t>(chosen.begin(), chosen.end()));
}

}  // namespace meshfold::data
