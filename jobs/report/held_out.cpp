#include "jobs/report/held_out.hpp"

#include <algorithm>

#include "data/csv_table.hpp"
#include "data/error.hpp"

namespace meshfold::jobs {
namespace {

constexpr std::size_t kFirstTarget = 2;  // after id and fold

std::size_t largest(const std::vector<float>& values, std::size_t row, std::size_t width) {
  const auto begin = values.begin() + static_cast<std::ptrdiff_t>(row * width);
  return static_cast<std::size_t>(std::max_element(begin, begin + static_cast<std::ptrdiff_t>(width)) - begin);
}

float class_number(const data::CsvTable& table, std::size_t row, std::size_t column, const HeldOut& held_out) {
  const auto name = table.cell(row, column);
  const auto found = std::ranges::find(held_out.labels, name);
  if (found == held_out.labels.end()) {
    throw data::InputError({table.file().string(), row + 1, table.line_of(row), table.columns()[column]},
                           "'" + name + "' is none of the run's classes; start the run again to have it written anew");
  }
  return static_cast<float>(found - held_out.labels.begin());
}

}  // namespace

std::size_t HeldOut::true_class(std::size_t row) const {
  if (has_class_numbers()) return static_cast<std::size_t>(truth[row]);
  return largest(truth, row, targets.size());
}

std::size_t HeldOut::predicted_class(std::size_t row) const { return largest(predicted, row, labels.size()); }

std::optional<HeldOut> read_held_out(const std::filesystem::path& file, models::Task task,
                                     const std::vector<std::string>& labels) {
  if (!std::filesystem::exists(file)) return std::nullopt;
  const auto table = data::CsvTable::open(file);
  const auto& columns = table.columns();
  HeldOut held_out;
  held_out.task = task;
  held_out.labels = labels;
  const bool is_ours = columns.size() > kFirstTarget + labels.size() && columns[1] == "fold";
  const std::size_t first_prediction = columns.size() - std::min(columns.size(), labels.size());
  for (std::size_t label = 0; label < labels.size(); ++label) {
    if (is_ours && columns[first_prediction + label] == "pred_" + labels[label]) continue;
    throw data::InputError({file.string(), {}, 1, {}},
                           "its columns are not those of this run; start the run again to "
                           "have it written anew");
  }
  held_out.targets.assign(columns.begin() + kFirstTarget,
                          columns.begin() + static_cast<std::ptrdiff_t>(first_prediction));
  for (std::size_t row = 0; row < table.num_rows(); ++row) {
    held_out.ids.push_back(table.cell(row, 0));
    held_out.folds.push_back(static_cast<int>(table.number(row, 1)));
    for (std::size_t column = kFirstTarget; column < first_prediction; ++column) {
      held_out.truth.push_back(held_out.has_class_numbers() ? class_number(table, row, column, held_out)
                                                            : static_cast<float>(table.number(row, column)));
    }
    for (std::size_t column = first_prediction; column < columns.size(); ++column) {
      held_out.predicted.push_back(static_cast<float>(table.number(row, column)));
    }
  }
  return held_out;
}

}  // namespace meshfold::jobs
