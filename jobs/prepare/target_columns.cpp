#include "jobs/prepare/target_columns.hpp"

#include <cmath>
#include <set>

#include "base/text.hpp"
#include "data/nearest_name.hpp"
#include "jobs/error.hpp"

namespace meshfold::jobs {

using data::InputError;

float read_float(const data::Table& table, std::size_t row, std::size_t column) {
  const auto value = static_cast<float>(table.number(row, column));
  if (!std::isfinite(value)) {
    throw InputError(table.place(row, column), "the number is too large for 32-bit floating point");
  }
  return value;
}

TargetColumns::TargetColumns(const data::Table& table, const DataSection& roles, models::Task task)
    : table_(table), task_(task), class_names_(roles.classes) {
  for (const std::string& name : roles.targets) columns_.push_back(table_.column(name));
  if (task_ != models::Task::kClassification || has_class_column()) return;
  if (class_names_.empty()) class_names_ = roles.targets;
  if (class_names_.size() != columns_.size()) {
    throw ConfigError("data.classes names " + std::to_string(class_names_.size()) + " classes for " +
                      std::to_string(columns_.size()) + " columns of data.targets; give one name a column, or none");
  }
}

void TargetColumns::scan() {
  if (!has_class_column()) return;
  const bool is_listed = !class_names_.empty();
  std::set<std::string> found;
  for (std::size_t row = 0; row < table_.num_rows(); ++row) {
    std::string name = table_.cell(row, columns_[0]);
    if (name.find_first_not_of(" \t\r\n\v\f") == std::string::npos) {
      throw InputError(table_.place(row, columns_[0]), "empty class name; label the row or remove it");
    }
    found.insert(std::move(name));
  }
  if (!is_listed) class_names_.assign(found.begin(), found.end());
  if (class_names_.size() < 2) {
    throw InputError({table_.file().string(), {}, {}, table_.columns()[columns_[0]]},
                     "every row has the class '" + class_names_[0] + "'; classification needs at least two");
  }
  for (std::size_t i = 0; i < class_names_.size(); ++i) class_of_name_.emplace(class_names_[i], i);
}

float TargetColumns::class_number(std::size_t row) const {
  const std::string name = table_.cell(row, columns_[0]);
  const auto found = class_of_name_.find(name);
  if (found != class_of_name_.end()) return static_cast<float>(found->second);
  const auto nearest = data::nearest_name(name, class_names_);
  throw InputError(table_.place(row, columns_[0]),
                   "'" + name + "' is none of data.classes" + (nearest ? "; did you mean '" + *nearest + "'?" : ""));
}

double TargetColumns::share(std::size_t row, std::size_t column) const {
  const double share = table_.number(row, column);
  if (share >= 0 && share <= 1) return share;
  throw InputError(table_.place(row, column), "'" + table_.cell(row, column) + "' is not between 0 and 1");
}

void TargetColumns::append_shares(std::size_t row, std::vector<float>& targets) const {
  std::vector<double> shares;
  double sum = 0;
  for (const std::size_t column : columns_) sum += shares.emplace_back(share(row, column));
  if (!(std::abs(sum - 1) <= kShareTolerance)) {
    throw InputError({table_.file().string(), row + 1, table_.line_of(row), ""},
                     base::format("the shares of the classes add up to %.6g", sum) +
                         " instead of 1; correct the row, or set model.task = multi_label if several labels can hold");
  }
  for (const double share : shares) targets.push_back(static_cast<float>(share / sum));
}

void TargetColumns::append(std::size_t row, std::vector<float>& targets) const {
  if (has_class_column()) {
    targets.push_back(class_number(row));
  } else if (task_ == models::Task::kClassification) {
    append_shares(row, targets);
  } else {
    for (const std::size_t column : columns_) {
      targets.push_back(task_ == models::Task::kMultiLabel ? static_cast<float>(share(row, column))
                                                           : read_float(table_, row, column));
    }
  }
}

}  // namespace meshfold::jobs
